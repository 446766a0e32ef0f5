"""How steep a discriminator is seen to be at samples; `lipschitz_bound` says how steep it can be anywhere.

Every number is a slope of the score in L2, in units of the data as the networks see them; D is in eval mode.
"""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sparring.core.gradients import input_gradient
from sparring.core.modules import evaluating
from sparring.core.shapes import sample_norm

_AT_ONCE = 512
"""Samples a forward pass."""


class GradientNorms(NamedTuple):
    """||grad_x D(x)|| over samples x, in fp32 or fp64.

    Args:
        mean: over the samples.
        q05: the norm that a twentieth of the samples stay below.
        median: the middle one.
        q95: the norm that a twentieth of the samples exceed.
        max: the largest.
    """

    mean: float
    q05: float
    median: float
    q95: float
    max: float


class Steepness(NamedTuple):
    """How steep one game's discriminator is at samples.

    Args:
        real: gradient norms at real samples.
        fake: gradient norms at generated samples.
        steepest_pair: the largest |D(x) - D(y)| / ||x - y|| of a real x and a generated y.
    """

    real: GradientNorms
    fake: GradientNorms
    steepest_pair: float


def steepness(discriminator: nn.Module, real: Tensor, fake: Tensor, lead: tuple[int, ...] = ()) -> list[Steepness]:
    """Measure a discriminator, or each of R packed ones.

    Args:
        discriminator: returns a `Verdict`.
        real: `(*lead, n, ...)`.
        fake: `(*lead, m, ...)`.
        lead: `(replicas,)` for packed games.

    Returns:
        one record a game.
    """
    axes = len(lead) + 1
    pairs = steepest_pairs(discriminator, real, fake, axes).reshape(-1).tolist()
    norms = [gradient_norms(discriminator, samples, axes).reshape(len(pairs), -1) for samples in (real, fake)]
    return [
        Steepness(_summary(at_real), _summary(at_fake), pair)
        for at_real, at_fake, pair in zip(*norms, pairs, strict=True)
    ]


def gradient_norms(discriminator: nn.Module, samples: Tensor, batch_axes: int = 1) -> Tensor:
    """||grad_x D(x)||_2 of every sample, `(*batch)`.

    Args:
        discriminator: returns a `Verdict`.
        samples: `(*batch, ...)`.
        batch_axes: how many leading axes are batch.
    """
    found = []
    with evaluating(discriminator):
        for part in torch.split(samples, _AT_ONCE, dim=batch_axes - 1):
            seen = input_gradient(lambda at: discriminator(at).score, part)
            found.append(sample_norm(seen.gradient, batch_axes))
    return torch.cat(found, dim=-1)


@torch.no_grad()
def steepest_pairs(discriminator: nn.Module, real: Tensor, fake: Tensor, batch_axes: int = 1) -> Tensor:
    """max |D(x) - D(y)| / ||x - y||_2 over all pairs of a real x and a generated y, one number a game; no pair is 0.

    In fp64 throughout, as the bound: near pairs divide the rounding of scores by little.

    Args:
        discriminator: returns a `Verdict`; a copy of it is measured.
        real: `(*lead, n, ...)`.
        fake: `(*lead, m, ...)`.
        batch_axes: how many leading axes are batch.
    """
    network, sides = copy.deepcopy(discriminator).double().eval(), [real.double(), fake.double()]
    scores = [
        torch.cat([network(part).score for part in torch.split(x, _AT_ONCE, dim=batch_axes - 1)], dim=-1) for x in sides
    ]
    rise = (scores[0].unsqueeze(-1) - scores[1].unsqueeze(-2)).abs()
    ends = [x.flatten(batch_axes) for x in sides]
    run = torch.cdist(ends[0], ends[1], compute_mode="donot_use_mm_for_euclid_dist")
    # A generated sample that equals a real one says nothing about slopes.
    return torch.where(run > 0, rise / run, 0.0).flatten(batch_axes - 1).amax(-1)


def _summary(norms: Tensor) -> GradientNorms:
    low, middle, high = torch.quantile(norms.double(), torch.tensor([0.05, 0.5, 0.95]).to(norms).double()).tolist()
    return GradientNorms(float(norms.mean()), low, middle, high, float(norms.max()))
