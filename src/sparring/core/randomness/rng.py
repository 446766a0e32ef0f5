"""Rng: draws of one stream, by torch's generators or by counters.

Generators draw for one game after the other. Counters draw for all games in the same few operations, from a number that
may stand in the device's memory, so that hundreds of packed games are cheap on a GPU and a captured round can draw anew
at every replay. The two draw other numbers.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple, final

import torch
from torch import Tensor

from sparring.core.randomness.hashing import GOLDEN, mixed, shifted

Index = int | Tensor
"""Which round, batch or epoch: a number, or one in the device's memory, `()` of int64."""
Fill = Callable[[Tensor, torch.Generator], Tensor]


class Part(NamedTuple):
    """One of several equal parts of every batch.

    Args:
        rank: which, from 0.
        of: how many there are.
    """

    rank: int = 0
    of: int = 1


WHOLE = Part()


class Rng(ABC):
    """Draws for one game, or for R of them stacked along a leading replica axis.

    With replicas, row r of every draw is what a single game would have drawn. With a part, the draw is made for the
    whole batch, and the part of its first axis is kept; an axis of one is not split, as what one number decides for a
    batch is decided alike for all its parts.

    Args:
        device: where the draws are wanted.
        stacked: whether the leading axis of every shape counts replicas.
        part: of the batch, for a single game.
    """

    def __init__(self, device: torch.device | str, *, stacked: bool, part: Part = WHOLE) -> None:
        self.device = torch.device(device)
        self._stacked, self._part = stacked, part

    @staticmethod
    def of(seed: int, device: torch.device | str = "cpu") -> Rng:
        """A stream of one's own, for use outside of the engine."""
        return Seeded(lambda: [seed], device, stacked=False)

    @final
    def normal(self, shape: Sequence[int]) -> Tensor:
        """Independent draws from N(0, 1)."""
        return self._kept(shape, self._normal)

    @final
    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Tensor:
        """Independent draws from U[low, high)."""
        return self._kept(shape, lambda whole: self._uniform(whole, low, high))

    @final
    def integers(self, shape: Sequence[int], below: int) -> Tensor:
        """Independent whole numbers from 0 to below - 1."""
        return self._kept(shape, lambda whole: self._integers(whole, below))

    @abstractmethod
    def permutation(self, length: int) -> Tensor:
        """A random order of 0 .. length - 1, shape `(length)` or `(replicas, length)`."""

    @abstractmethod
    def _normal(self, shape: tuple[int, ...]) -> Tensor: ...

    @abstractmethod
    def _uniform(self, shape: tuple[int, ...], low: float, high: float) -> Tensor: ...

    @abstractmethod
    def _integers(self, shape: tuple[int, ...], below: int) -> Tensor: ...

    def _kept(self, shape: Sequence[int], draw: Callable[[tuple[int, ...]], Tensor]) -> Tensor:
        parts = self._part.of if shape and shape[0] > 1 else 1
        whole = draw((*(parts * length for length in shape[:1]), *shape[1:]))
        return whole if parts == 1 else whole.chunk(parts)[self._part.rank]

    def _require_rows(self, shape: tuple[int, ...], games: int) -> None:
        if shape[0] != games:
            raise ValueError(f"a draw of shape {shape} from {games} replicas")


class Seeded(Rng):
    """Draws from a generator of torch's for every game.

    Args:
        seeds: makes the generators' seeds, at the first draw: most rounds hand out streams that nobody draws from.
        device: where the draws are wanted.
        stacked: whether the leading axis of every shape counts replicas.
        part: of the batch, for a single game.
    """

    def __init__(
        self, seeds: Callable[[], Iterable[int]], device: torch.device | str, *, stacked: bool, part: Part = WHOLE
    ) -> None:
        super().__init__(device, stacked=stacked, part=part)
        self._seeds = seeds

    @cached_property
    def _generators(self) -> tuple[torch.Generator, ...]:
        return tuple(torch.Generator(self.device).manual_seed(seed) for seed in self._seeds())

    def permutation(self, length: int) -> Tensor:
        rows = [torch.randperm(length, generator=each, device=self.device) for each in self._generators]
        return torch.stack(rows) if self._stacked else rows[0]

    def _normal(self, shape: tuple[int, ...]) -> Tensor:
        return self._filled(shape, torch.get_default_dtype(), lambda row, generator: row.normal_(generator=generator))

    def _uniform(self, shape: tuple[int, ...], low: float, high: float) -> Tensor:
        return self._filled(
            shape, torch.get_default_dtype(), lambda row, generator: row.uniform_(low, high, generator=generator)
        )

    def _integers(self, shape: tuple[int, ...], below: int) -> Tensor:
        return self._filled(shape, torch.int64, lambda row, generator: row.random_(0, below, generator=generator))

    def _filled(self, shape: tuple[int, ...], dtype: torch.dtype, fill: Fill) -> Tensor:
        out = torch.empty(shape, device=self.device, dtype=dtype)
        if self._stacked:
            self._require_rows(shape, len(self._generators))
        for row, generator in zip(out if self._stacked else [out], self._generators, strict=True):
            fill(row, generator)
        return out


class Counted(Rng):
    """Draws that are a function of a key and of a position.

    With the key (a, b) of a game's stream at a number, word i = 1, 2, ... is mix(a + i b) of splitmix64. That b differs
    too keeps two streams from running into each other for longer than a word.

    Args:
        bases: two numbers of every game's stream, int64 `(2)` or `(replicas, 2)`, on the device.
        number: which round, batch or epoch.
        stacked: whether the leading axis of every shape counts replicas.
        part: of the batch, for a single game.

    Source: Steele, Lea, Flood 2014, Fast splittable pseudorandom number generators, figure 16, for the mixing.
    """

    def __init__(self, bases: Tensor, number: Index, *, stacked: bool, part: Part = WHOLE) -> None:
        super().__init__(bases.device, stacked=stacked, part=part)
        self._bases, self._number, self._drawn = bases, number, 0

    @cached_property
    def _keys(self) -> tuple[Tensor, Tensor]:
        # A number that Python holds is filled in: making a tensor of it would wait for the device.
        number = self._number if isinstance(self._number, Tensor) else self._bases.new_full((), self._number)
        start, stride = mixed(self._bases + number * GOLDEN).unsqueeze(-1).unbind(-2)
        return start, stride | 1

    def permutation(self, length: int) -> Tensor:
        return self._words(length).argsort(-1)

    def _normal(self, shape: tuple[int, ...]) -> Tensor:
        """Pairs of normal draws from pairs of uniform ones (Box and Muller 1958)."""
        count = self._count(shape)
        size, turn = self._fractions(2 * -(-count // 2)).chunk(2, dim=-1)
        radius, angle = torch.sqrt(-2 * torch.log1p(-size)), 2 * math.pi * turn
        return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=-1)[..., :count].reshape(shape)

    def _uniform(self, shape: tuple[int, ...], low: float, high: float) -> Tensor:
        return self._fractions(self._count(shape)).mul(high - low).add(low).reshape(shape)

    def _integers(self, shape: tuple[int, ...], below: int) -> Tensor:
        return (shifted(self._words(self._count(shape)), 1) % below).reshape(shape)

    def _count(self, shape: tuple[int, ...]) -> int:
        """How many numbers a game draws."""
        if not self._stacked:
            return math.prod(shape)
        self._require_rows(shape, len(self._bases))
        return math.prod(shape[1:])

    def _fractions(self, count: int) -> Tensor:
        """Numbers in [0, 1) for every game, `(*lead, count)`: of 24 bits in fp32, two from a word; of 53 in fp64."""
        if torch.get_default_dtype() == torch.float64:
            return shifted(self._words(count), 11).to(torch.float64) * 2.0**-53
        words = self._words(-(-count // 2))
        halves = torch.cat([shifted(words, 40), shifted(words, 8) & 0xFFFFFF], dim=-1)
        return halves[..., :count].to(torch.get_default_dtype()) * 2.0**-24

    def _words(self, count: int) -> Tensor:
        """The next 64-bit words of every game, `(*lead, count)`."""
        start, stride = self._keys
        position = torch.arange(self._drawn + 1, self._drawn + count + 1, device=self.device)
        self._drawn += count
        return mixed(start + position * stride)
