"""The order in which a game sees its samples: a fresh permutation every epoch, laid end to end.

Training position p = number * size + j lies in epoch p // count and names the sample
permutation(seed, epoch)[p % count]: every sample is seen exactly once an epoch, and no part-batch is dropped.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from sparring.core.randomness import Streams


class Picks(NamedTuple):
    """Which samples make a batch, `(*streams.lead, size)`, and their training positions, `(size)`."""

    indices: Tensor
    positions: Tensor


class Order:
    """The sampling order of `count` samples, per replica its own.

    Args:
        count: samples in the split.
        device: where the indices are wanted.
    """

    def __init__(self, count: int, device: torch.device) -> None:
        self._count = count
        self._device = device
        self._permutations: dict[tuple[int, tuple[int, ...], tuple[int, ...]], Tensor] = {}

    def batch(self, number: int, size: int, streams: Streams) -> Picks:
        """The picks of batch `number`, or of this part of it: a function of (seed, number, part, size) alone."""
        first = (number * streams.part.of + streams.part.rank) * size
        end = first + size
        parts = []
        for epoch in range(first // self._count, (end - 1) // self._count + 1):
            start = epoch * self._count
            order = self._permutation(epoch, streams)
            parts.append(order[..., max(first - start, 0) : min(end - start, self._count)])
        return Picks(torch.cat(parts, dim=-1), torch.arange(first, end, device=self._device))

    def _permutation(self, epoch: int, streams: Streams) -> Tensor:
        key = (epoch, streams.lead, streams.seeds)
        if key not in self._permutations:
            # Two epochs are enough: a batch that straddles a border is followed by batches of the later one.
            while len(self._permutations) >= 2:
                del self._permutations[min(self._permutations)]
            order = streams.rng("order", epoch).permutation(self._count)
            self._permutations[key] = order.to(self._device)
        return self._permutations[key]
