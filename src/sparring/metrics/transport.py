"""Exact Wasserstein distances between two point clouds of equal size."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor

from sparring.core.pieces import piece
from sparring.core.records import Count
from sparring.metrics.base import Metric, Reference


def wasserstein1(a: Tensor, b: Tensor) -> float:
    """min over permutations pi of mean_i ||a_i - b_pi(i)||, by the Hungarian method in fp64.

    By Kantorovich duality the largest mean f(a) - mean f(b) of any f with Lipschitz constant 1: what the critic of a
    Wasserstein GAN estimates.

    Args:
        a: `(n, features)`.
        b: `(n, features)`.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> points = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
        >>> wasserstein1(points, points.flip(0) + torch.tensor([3.0, 4.0]))
        5.0
    """
    return _cheapest(a, b, power=1)


def wasserstein2(a: Tensor, b: Tensor) -> float:
    """sqrt(min over permutations pi of mean_i ||a_i - b_pi(i)||^2), as `wasserstein1`."""
    return math.sqrt(_cheapest(a, b, power=2))


def _cheapest(a: Tensor, b: Tensor, *, power: int) -> float:
    """The least mean of ||a_i - b_pi(i)||^power over permutations pi."""
    if a.shape != b.shape:
        raise ValueError(f"point clouds of different shapes: {tuple(a.shape)} and {tuple(b.shape)}")
    from scipy.optimize import linear_sum_assignment  # half a second that only this distance needs

    distances = torch.cdist(a.double(), b.double(), compute_mode="donot_use_mm_for_euclid_dist")
    cost = distances.pow(power).cpu().numpy()
    rows, columns = linear_sum_assignment(cost)
    return float(cost[rows, columns].mean())


@piece("wasserstein2")
class Wasserstein2(Metric):
    """Exact Wasserstein-2 distance between generated and held-out points, beside that of two real halves.

    Args:
        points: the size of each cloud, at most the number of samples.
    """

    names: ClassVar[tuple[str, ...]] = ("wasserstein2", "wasserstein2_floor")

    points: Count = 512

    def applies(self, reference: Reference) -> bool:
        return reference.samples.dim() == 2 and len(reference.samples) >= 2 * self.points

    def measure(self, samples: Tensor, reference: Reference) -> dict[str, float]:
        points = min(self.points, len(samples))
        real, key = reference.samples, (self, points)
        if key not in reference.precomputed:  # it is the same at every measurement of a run
            reference.precomputed[key] = wasserstein2(real[points : 2 * points], real[:points])
        return {
            "wasserstein2": wasserstein2(samples[:points], real[:points]),
            "wasserstein2_floor": reference.precomputed[key],
        }

    def protocol(self, reference: Reference, count: int) -> str:
        points = min(self.points, count)
        return f"{points} generated against {points} held-out points, exact; the floor is real against real"
