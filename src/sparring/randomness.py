"""Named random streams: every draw is a function of (seed, stream, number) and of nothing else.

No stream has a state that outlives a round, so a resumed run draws what an undisturbed one would have drawn, and
turning one consumer on (an adversary, say) does not shift another's draws (the latents').
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

_GOLDEN = -7046029254386353131  # 2^64 / golden ratio, as a signed 64-bit number


class Part(NamedTuple):
    """One of several equal parts of every batch.

    Args:
        rank: which, from 0.
        of: how many there are.
    """

    rank: int = 0
    of: int = 1


WHOLE = Part()


class Rng:
    """Draws from one generator, or from R of them stacked along a leading replica axis.

    With replicas, row r of every draw comes from generator r alone and equals what a single game would have drawn. With
    a part, the draw is made for the whole batch, and the part of its first axis is kept; an axis of one is not split,
    as what one number decides for a batch is decided alike for all its parts.

    Args:
        seeds: makes one seed for a single game, or one for each replica, at the first draw: most rounds hand out
            streams that nobody draws from.
        device: where the draws are wanted.
        stacked: whether the leading axis of every shape counts replicas.
        part: of the batch, for a single game.
    """

    def __init__(
        self, seeds: Callable[[], Iterable[int]], device: torch.device | str, *, stacked: bool, part: Part = WHOLE
    ) -> None:
        self._seeds, self._stacked, self._part = seeds, stacked, part
        self.device = torch.device(device)

    @classmethod
    def of(cls, seed: int, device: torch.device | str = "cpu") -> Rng:
        """A stream of one's own, for use outside of the engine."""
        return cls(lambda: [seed], device, stacked=False)

    @cached_property
    def _generators(self) -> tuple[torch.Generator, ...]:
        return tuple(torch.Generator(self.device).manual_seed(seed) for seed in self._seeds())

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Independent draws from N(0, 1)."""
        return self._filled(shape, torch.get_default_dtype(), lambda row, generator: row.normal_(generator=generator))

    def uniform(self, shape: Sequence[int], low: float = 0.0, high: float = 1.0) -> Tensor:
        """Independent draws from U[low, high)."""
        return self._filled(
            shape, torch.get_default_dtype(), lambda row, generator: row.uniform_(low, high, generator=generator)
        )

    def integers(self, shape: Sequence[int], below: int) -> Tensor:
        """Independent whole numbers from 0 to below - 1."""
        return self._filled(shape, torch.int64, lambda row, generator: row.random_(0, below, generator=generator))

    def permutation(self, length: int) -> Tensor:
        """A random order of 0 .. length - 1, shape `(length)` or `(replicas, length)`."""
        rows = [torch.randperm(length, generator=each, device=self.device) for each in self._generators]
        return torch.stack(rows) if self._stacked else rows[0]

    def _filled(
        self, shape: Sequence[int], dtype: torch.dtype, fill: Callable[[Tensor, torch.Generator], Tensor]
    ) -> Tensor:
        parts = self._part.of if shape and shape[0] > 1 else 1
        out = torch.empty((*(parts * length for length in shape[:1]), *shape[1:]), device=self.device, dtype=dtype)
        for row, generator in self._rows(out):
            fill(row, generator)
        return out if parts == 1 else out.chunk(parts)[self._part.rank]

    def _rows(self, out: Tensor) -> list[tuple[Tensor, torch.Generator]]:
        if not self._stacked:
            return [(out, self._generators[0])]
        if out.shape[0] != len(self._generators):
            raise ValueError(f"a draw of shape {tuple(out.shape)} from {len(self._generators)} replicas")
        return list(zip(out, self._generators, strict=True))


class Streams:
    """The random streams of a game, or of R packed games with seeds seed, seed + 1, ..., seed + R - 1.

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

    @property
    def lead(self) -> tuple[int, ...]:
        """The leading shape of every batch: `()` for a single game, `(replicas,)` for packed ones."""
        return () if self.replicas is None else (self.replicas,)

    def rng(self, name: str, number: int = 0) -> Rng:
        """The stream of this name for one round, batch or epoch."""
        seeds = self.seeds

        def derived() -> list[int]:
            return [derive(seed, name, number) for seed in seeds]

        return Rng(derived, self.device, stacked=self.replicas is not None, part=self.part)


def derive(seed: int, name: str, number: int) -> int:
    """A 63-bit seed for the stream `name` at `number`, independent for unlike arguments."""
    digest = hashlib.blake2b(f"{seed}/{name}/{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def hashed_uniform(key: Tensor, count: int) -> Tensor:
    """`count` numbers in [0, 1) for every key, a function of the key alone: no batch, device or order enters.

    Counter-based (splitmix64), for augmentation that must be a function of (seed, sample).

    Args:
        key: int64, any shape `*batch`.
        count: numbers a key.

    Returns:
        fp32 of shape `(*batch, count)`.
    """
    counter = torch.arange(1, count + 1, device=key.device, dtype=torch.int64)
    bits = _mix(_mix(key)[..., None] + counter * _GOLDEN)
    return _shift(bits, 40).to(torch.float32) / float(1 << 24)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * -4658895280553007687
    x = (x ^ _shift(x, 27)) * -7723592293110705685
    return x ^ _shift(x, 31)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of signed 64-bit numbers."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
