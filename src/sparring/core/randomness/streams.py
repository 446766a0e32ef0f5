"""The random streams of a game, by name."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from sparring.core.randomness.hashing import derive
from sparring.core.randomness.rng import WHOLE, Counted, Index, Part, Rng, Seeded


class Streams:
    """The random streams of a game, or of R packed games with seeds seed, seed + 1, ..., seed + R - 1.

    On a GPU they are counted, elsewhere torch's generators draw.

    Args:
        seed: the recipe's seed.
        replicas: how many games are packed; None for a single game without a replica axis.
        device: where the draws are wanted.

    Attributes:
        seeds: of every game.
        part: of every batch that is drawn; all of it, but for `parted`.
    """

    part = WHOLE

    def __init__(self, seed: int, replicas: int | None = None, device: torch.device | str = "cpu") -> None:
        self.seeds = tuple(range(seed, seed + (replicas or 1)))
        self.replicas = replicas
        self.device = torch.device(device)
        self._form = Streams._counted if self.device.type == "cuda" else Streams._seeded
        self._bases: dict[str, Tensor] = {}

    @classmethod
    def packed(cls, seeds: Sequence[int], device: torch.device | str = "cpu") -> Streams:
        """The streams of packed games with these seeds, whichever they are."""
        streams = cls(0, len(seeds), device)
        streams.seeds = tuple(seeds)
        return streams

    def parted(self, part: Part) -> Streams:
        """The same streams, for a part of every batch of a single game."""
        streams = copy.copy(self)
        streams.part = part
        return streams

    def counted(self) -> Streams:
        """Streams of the same names whose draws are counted, on any device."""
        streams = copy.copy(self)
        streams._form = Streams._counted
        return streams

    @property
    def lead(self) -> tuple[int, ...]:
        """The leading shape of every batch: `()` for a single game, `(replicas,)` for packed ones."""
        return () if self.replicas is None else (self.replicas,)

    def rng(self, name: str, number: Index = 0) -> Rng:
        """The stream of this name for one round, batch or epoch."""
        return self._form(self, name, number)

    def _seeded(self, name: str, number: Index) -> Rng:
        seeds = self.seeds

        def derived() -> list[int]:
            return [derive(seed, name, int(number)) for seed in seeds]

        return Seeded(derived, self.device, stacked=self.replicas is not None, part=self.part)

    def _counted(self, name: str, number: Index) -> Rng:
        if name not in self._bases:  # a transfer, which the first round pays for
            rows = torch.tensor([[derive(seed, name, word) for word in range(2)] for seed in self.seeds])
            self._bases[name] = rows.reshape(*self.lead, 2).to(self.device)
        return Counted(self._bases[name], number, stacked=self.replicas is not None, part=self.part)
