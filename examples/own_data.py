"""A data source outside of the package; a recipe names it by its import path: `data=own_data:Moons`."""

import math
from typing import ClassVar

import torch
from torch import Tensor

from sparring.core.randomness import Rng, Streams
from sparring.core.records import Positive
from sparring.data import Batch, Data, Facts, Source


class MoonsSource(Source):
    """Two half circles, drawn afresh for every batch."""

    def __init__(self, noise: float, device: torch.device) -> None:
        self.facts = Facts(
            shape=(2,),
            bounds=None,
            classes=("upper", "lower"),
            fingerprint=f"moons-{noise:g}",
            evaluated_on="held-out",  # drawn afresh
        )
        self._noise = noise
        self._device = device

    def batch(self, number: int, size: int, streams: Streams) -> Batch:
        return self._draw((*streams.lead, size), streams.rng("data", number))

    def held_out(self, count: int, *, rng: Rng) -> Batch:
        return self._draw((count,), rng)

    def _draw(self, shape: tuple[int, ...], rng: Rng) -> Batch:
        labels = rng.integers(shape, 2)
        angle = math.pi * rng.uniform(shape)
        sign = 1 - 2 * labels
        centre: Tensor = torch.stack([0.5 - 0.5 * sign, 0.25 * sign - 0.25], dim=-1)
        arc = torch.stack([sign * torch.cos(angle), sign * torch.sin(angle)], dim=-1)
        return Batch(centre + arc + self._noise * rng.normal((*shape, 2)), labels)


class Moons(Data):
    """Two interleaved half circles."""

    bounded: ClassVar[bool] = False

    noise: Positive = 0.05

    def open(self, device: torch.device) -> Source:
        return MoonsSource(self.noise, device)
