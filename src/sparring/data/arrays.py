"""A source over arrays of bytes, in memory, on the device or mapped: stores and the digits share it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from sparring.core.errors import UsageError
from sparring.core.randomness import Rng, Streams
from sparring.data.augment import Augmentation, augmented
from sparring.data.base import Batch, Facts, Halves, SampleSet, Source


@dataclass(frozen=True)
class ImageArrays:
    """One split.

    Args:
        samples: uint8, `(n, channels, height, width)`.
        labels: int64, `(n)`, or None.
    """

    samples: Tensor
    labels: Tensor | None

    def placed(self, device: torch.device) -> ImageArrays:
        """The same on the device if it takes under a quarter of the free memory there, else where it is."""
        if not _fits(self.samples.numel(), device):
            return self
        return ImageArrays(self.samples.to(device), None if self.labels is None else self.labels.to(device))


class Picks(NamedTuple):
    """Which samples make a batch, `(*streams.lead, size)`, and their training positions, `(size)`."""

    indices: Tensor
    positions: Tensor


class Order:
    """A fresh permutation every epoch, laid end to end, and one of its own for each replica.

    Training position p = number * size + j lies in epoch p // count and names the sample
    permutation(seed, epoch)[p % count]: every sample is seen exactly once an epoch, and no part-batch is dropped.

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


class ArraySource(Source):
    """Batches of a training split in a random order, and random subsets of a held-out one.

    Args:
        facts: what the data are; `count` and `evaluated_on` follow from the splits.
        train: sampled by `batch`.
        test: sampled by `held_out`; where nothing is held out, `train` itself.
        scale: byte k becomes k / scale - 1.
        augment: applied to training batches.
        device: where batches are wanted; the arrays may lie elsewhere.
        rows: of `train` that are trained on; None takes all.
        whole: the data that these are a share of; None where they are all.
    """

    def __init__(
        self,
        facts: Facts,
        train: ImageArrays,
        test: ImageArrays,
        *,
        scale: float,
        augment: tuple[Augmentation, ...] = (),
        device: torch.device,
        rows: Tensor | None = None,
        whole: ArraySource | None = None,
    ) -> None:
        self._rows = torch.arange(len(train.samples), device=train.samples.device) if rows is None else rows
        self.facts = replace(facts, count=len(self._rows), evaluated_on="training" if test is train else "held-out")
        self._train = train
        self._test = test
        self._scale = scale
        self._augment = augment
        self._device = device
        self._whole = whole
        self._order = Order(len(self._rows), train.samples.device)

    def batch(self, number: int, size: int, streams: Streams) -> Batch:
        indices, positions = self._order.batch(number, size, streams)
        samples, labels = self.read(self._train, self._rows[indices])
        return Batch(augmented(samples, self._augment, positions, streams), labels)

    def held_out(self, count: int, *, rng: Rng) -> Batch:
        indices = rng.permutation(len(self._test.samples))[:count]
        return self.read(self._test, indices.to(self._test.samples.device))

    def evaluation_set(self, count: int, *, rng: Rng) -> SampleSet:
        indices = rng.permutation(len(self._test.samples))[:count]
        return self._set(self._test, indices.to(self._test.samples.device))

    def training_set(self, count: int, streams: Streams) -> SampleSet:
        places = self._order.batch(0, min(count, len(self._rows)), streams).indices
        return self._set(self._train, self._rows[places])

    def training_parts(self, size: int) -> Iterator[Tensor]:
        for part in torch.split(self._rows, size):
            yield self.read(self._train, part).samples

    def unaugmented(self) -> Source:
        return self._with(self._rows, ())

    def whole(self) -> Source:
        return self.unaugmented() if self._whole is None else self._whole.unaugmented()

    def reduced(self, share: float) -> ArraySource:
        """The same data with a share of the training samples, at least one; always the same ones."""
        total = len(self._rows)
        order = Rng.of(0).permutation(total).to(self._rows.device)
        rows = self._rows[order[: max(1, round(share * total))].sort().values]
        return self._with(rows, self._augment, whole=self)

    def split(self, count: int) -> tuple[Source, Batch]:
        total = len(self._rows)
        if total < 2 * count:
            raise UsageError(
                f"selection: {count:,} validation samples of {total:,} training samples leave too few",
                f"take at most {total // 2:,}: selection.samples=...",
            )
        order = Rng.of(0).permutation(total).to(self._rows.device)
        training = self._with(self._rows[order[count:].sort().values], self._augment)
        return training, self.read(self._train, self._rows[order[:count]])

    def halves(self, count: int, *, rng: Rng) -> Halves:
        total, held = len(self._rows), len(self._test.samples)
        indices = self._rows[rng.permutation(total).to(self._rows.device)]
        half = min(count, total // 2)
        if self._test is self._train or held < half:
            reference, other = (self.read(self._train, part) for part in indices[: 2 * half].chunk(2))
            return Halves(reference.samples, other.samples, "disjoint halves of the training split")
        reference = self.read(self._train, indices[:count])
        return Halves(reference.samples, self.held_out(count, rng=rng).samples, "training and held-out split")

    def _with(
        self, rows: Tensor, augment: tuple[Augmentation, ...], *, whole: ArraySource | None = None
    ) -> ArraySource:
        return ArraySource(
            self.facts,
            self._train,
            self._test,
            scale=self._scale,
            augment=augment,
            device=self._device,
            rows=rows,
            whole=whole or self._whole,
        )

    def _set(self, arrays: ImageArrays, indices: Tensor) -> SampleSet:
        labels = None if arrays.labels is None else self._moved(arrays.labels[indices])
        return SampleSet(_StoredRows(self, arrays, indices), labels)

    def read(self, arrays: ImageArrays, indices: Tensor) -> Batch:
        """Samples of a split by their numbers in it."""
        samples = self._moved(arrays.samples[indices]).float().div_(self._scale).sub_(1)
        return Batch(samples, None if arrays.labels is None else self._moved(arrays.labels[indices]))

    def _moved(self, picked: Tensor) -> Tensor:
        if picked.device.type == "cpu" and self._device.type == "cuda":
            return picked.pin_memory().to(self._device, non_blocking=True)
        return picked


@dataclass(frozen=True)
class _StoredRows:
    """Samples of a split, read from its arrays when they are asked for.

    Args:
        source: of the arrays.
        arrays: in memory, on the device or mapped.
        indices: of the samples in the arrays, `(n)`.
    """

    source: ArraySource
    arrays: ImageArrays
    indices: Tensor

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, rows: slice | Tensor, /) -> Tensor:
        chosen = rows if isinstance(rows, slice) else rows.to(self.indices.device)
        return self.source.read(self.arrays, self.indices[chosen]).samples


def fingerprint(content: str, split: str) -> str:
    """A short digest of arrays and of the split that is trained on."""
    return hashlib.sha256(f"{content}/{split}".encode()).hexdigest()[:12]


def _fits(size: int, device: torch.device) -> bool:
    return device.type == "cuda" and 4 * size < torch.cuda.mem_get_info(device)[0]
