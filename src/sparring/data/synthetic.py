"""Mixtures of Gaussians in the plane, rings and grids, and on a line; drawn afresh for every batch.

Source: Xu, Li, Jegelka, section 5.1 and appendix B.1 (8 modes on a circle).
"""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from sparring.core.pieces import piece
from sparring.core.randomness import Rng, Streams
from sparring.data.base import Batch, Data, Facts, Source

MOST_MODES = 10_000
Length = Annotated[float, Field(gt=0, le=1e6)]
"""A distance; the square of much larger ones overflows in fp32."""
Place = Annotated[float, Field(ge=-1e6, le=1e6)]
"""A point of the line."""


class Mixture(Data):
    """Equally likely isotropic Gaussians with a common standard deviation."""

    bounded: ClassVar[bool] = False

    std: Length

    @abstractmethod
    def centres(self) -> Tensor:
        """The means, `(modes, features)`."""

    def open(self, device: torch.device) -> Source:
        return MixtureSource(self.centres().to(device), self.std, self.model_dump_json())


class MixtureSource(Source):
    """Draws from a mixture of Gaussians; a label is the mode's index."""

    def __init__(self, centres: Tensor, std: float, spec: str) -> None:
        names = tuple(f"mode {index}" for index in range(len(centres)))
        fingerprint = hashlib.sha256(spec.encode()).hexdigest()[:12]
        self.facts = Facts((centres.shape[1],), None, names, centres, std, fingerprint, evaluated_on="held-out")
        self._centres = centres
        self._std = std

    def batch(self, number: int, size: int, streams: Streams) -> Batch:
        return self._draw((*streams.lead, size), streams.rng("data", number))

    def held_out(self, count: int, *, rng: Rng) -> Batch:
        return self._draw((count,), rng)

    def _draw(self, shape: tuple[int, ...], rng: Rng) -> Batch:
        modes = rng.integers(shape, len(self._centres)).to(self._centres.device)
        noise = rng.normal((*shape, self._centres.shape[1])).to(self._centres.device)
        return Batch(self._centres[modes] + self._std * noise, modes)


@piece("ring")
class Ring(Mixture):
    """Modes evenly spaced on a circle.

    Args:
        modes: how many.
        radius: of the circle.
        std: of every mode.
    """

    modes: int = Field(default=8, ge=1, le=MOST_MODES)
    radius: Length = 2.0
    std: Length = 0.1

    def centres(self) -> Tensor:
        angle = 2 * math.pi * torch.arange(self.modes) / self.modes
        return self.radius * torch.stack([torch.cos(angle), torch.sin(angle)], dim=1)


@piece("grid")
class Grid(Mixture):
    """side x side modes on a square grid around the origin.

    Args:
        side: modes along each axis.
        spacing: between neighbouring modes.
        std: of every mode.
    """

    side: int = Field(default=5, ge=1, le=math.isqrt(MOST_MODES))
    spacing: Length = 1.0
    std: Length = 0.05

    def centres(self) -> Tensor:
        axis = self.spacing * (torch.arange(self.side) - (self.side - 1) / 2)
        return torch.cartesian_prod(axis, axis)


@piece("line")
class Line(Mixture):
    """Modes on a line: samples `(1)`, in which D is a curve that can be drawn.

    Args:
        means: of the modes.
        std: of every mode.
    """

    means: Annotated[tuple[Place, ...], Field(strict=False, min_length=1, max_length=MOST_MODES)] = (-2.0, 2.0)
    std: Length = 0.5

    def centres(self) -> Tensor:
        return torch.tensor(self.means)[:, None]
