"""Named random streams: every draw is a function of (seed, stream, number) and of nothing else.

No stream has a state that outlives a round: a resumed run draws what an undisturbed one would have drawn, and turning
one consumer on (an adversary, say) does not shift another's draws (the latents').
"""

from __future__ import annotations

import copy
import hashlib
import operator
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import NamedTuple

import torch
from torch import Tensor

from sparring.core.errors import UsageError


class Part(NamedTuple):
    """One of several equal parts of every batch.

    Args:
        rank: which part, from 0.
        of: how many parts there are.
    """

    rank: int = 0
    of: int = 1


WHOLE = Part()


class Streams:
    """The random streams of a game, or of R packed games with seeds seed, seed + 1, ..., seed + R - 1.

    Args:
        seed: the recipe's seed.
        replicas: how many games are packed; None for a single game without a replica axis.
        device: where the draws are wanted.

    Attributes:
        seeds: the seed of every game.
        lead: the leading shape of every batch: `()` for a single game, `(replicas,)` for packed ones.
        part: the part of every batch that is drawn; all of it unless `parted`.
    """

    part = WHOLE

    def __init__(self, seed: int, replicas: int | None = None, device: torch.device | str = "cpu") -> None:
        self.seeds = tuple(range(seed, seed + (replicas or 1)))
        self.lead = () if replicas is None else (replicas,)
        self.device = torch.device(device)

    def parted(self, part: Part) -> Streams:
        """The same streams, for a part of every batch of a single game."""
        streams = copy.copy(self)
        streams.part = part
        return streams

    def derived(self, name: str, number: int = 0) -> list[int]:
        """A 63-bit seed for every game, independent for different names and numbers."""
        return [_digest(f"{seed}/{name}/{number}") for seed in self.seeds]

    def seed_torch(self, name: str, number: int) -> None:
        """Seed torch's own generators for one round or measurement: networks draw from them, as dropout does.

        Processes of one game draw different numbers, each for its part of the batch.
        """
        seed_torch(_digest(f"{self.seeds[0]}/torch/{name}/{self.part.rank}/{number}"), self.device)

    def rng(self, name: str, number: int = 0) -> Rng:
        """The stream of this name for one round, batch or epoch."""
        return Rng(partial(self.derived, name, number), self.device, stacked=bool(self.lead), part=self.part)


class Rng:
    """Draws for one game, or for R games stacked along a leading replica axis.

    With replicas, row r of every draw is what a single game would have drawn. With a part, the draw is made for the
    whole batch and the part of its first axis is kept; an axis of one is not split, so that one number that decides for
    a batch is the same for all its parts.

    Args:
        seeds: makes the seed of every game's generator, at the first draw: most streams of a round draw nothing.
        device: where the draws are wanted.
        stacked: whether the leading axis of every shape counts replicas.
        part: the part of the batch, for a single game.
    """

    def __init__(
        self, seeds: Callable[[], list[int]], device: torch.device | str, *, stacked: bool, part: Part = WHOLE
    ) -> None:
        self.device = torch.device(device)
        self._seeds, self._stacked, self._part = seeds, stacked, part

    @staticmethod
    def of(source: RandomSource, device: torch.device | str = "cpu") -> Rng:
        """A single stream, outside of any game.

        Args:
            source: a seed; a `torch.Generator`, which gives one number as the seed; or a stream, returned as it is.
            device: where the draws are wanted.

        Raises:
            UsageError: the source is something else.
        """
        if isinstance(source, Rng):
            return source
        if isinstance(source, torch.Generator):
            return Rng(partial(_seed_from, source), device, stacked=False)
        try:
            seed = operator.index(source)
        except TypeError:
            raise UsageError(
                f"rng = {source!r}: no source of random numbers", "give rng=0 or a torch.Generator"
            ) from None
        return Rng(lambda: [seed], device, stacked=False)

    def branch(self, name: str) -> Rng:
        """Another stream of this one's seed and a name; draws of neither shift the other's."""

        def seeds() -> list[int]:
            return [_digest(f"{seed}/{name}") for seed in self._first_seeds]

        return Rng(seeds, self.device, stacked=self._stacked, part=self._part)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Independent draws from N(0, 1)."""
        return self._drawn(shape, None, lambda row, generator: row.normal_(generator=generator))

    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Tensor:
        """Independent draws from U[low, high)."""
        return self._drawn(shape, None, lambda row, generator: row.uniform_(low, high, generator=generator))

    def integers(self, shape: Sequence[int], below: int) -> Tensor:
        """Independent whole numbers from 0 to below - 1."""
        return self._drawn(shape, torch.int64, lambda row, generator: row.random_(0, below, generator=generator))

    def permutation(self, length: int) -> Tensor:
        """A random order of 0 .. length - 1, shape `(length)` or `(replicas, length)`."""
        rows = [torch.randperm(length, generator=each, device=self.device) for each in self._generators]
        return torch.stack(rows) if self._stacked else rows[0]

    @cached_property
    def _first_seeds(self) -> list[int]:
        return self._seeds()

    @cached_property
    def _generators(self) -> tuple[torch.Generator, ...]:
        return tuple(torch.Generator(self.device).manual_seed(seed) for seed in self._first_seeds)

    def _drawn(
        self, shape: Sequence[int], dtype: torch.dtype | None, fill: Callable[[Tensor, torch.Generator], Tensor]
    ) -> Tensor:
        parts = self._part.of if shape and shape[0] > 1 else 1
        out = torch.empty((*(parts * length for length in shape[:1]), *shape[1:]), device=self.device, dtype=dtype)
        if self._stacked and len(out) != len(self._generators):
            raise ValueError(f"a draw of shape {tuple(shape)} from {len(self._generators)} replicas")
        for row, generator in zip(out if self._stacked else [out], self._generators, strict=True):
            fill(row, generator)
        return out if parts == 1 else out.chunk(parts)[self._part.rank]


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed torch's own generators of the CPU and of a device."""
    torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed all devices
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


RandomSource = Rng | int | torch.Generator
"""What stands for a stream of random numbers where users give one: a stream, a seed, or a generator of torch's."""


def _digest(key: str) -> int:
    """63 bits."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little") >> 1


def _seed_from(generator: torch.Generator) -> list[int]:
    return [int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))]
