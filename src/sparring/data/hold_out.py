"""A part of a source that is held out: the same share of every class, drawn once from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from sparring.data.manifest import HELD_OUT_SPLITS
from sparring.data.sources import RawDataset, RawSample, RawSplit

HELD_OUT = 0.1
"""The share that is held out of images of the user's own."""


def hold_out(raw: RawDataset, fraction: float, seed: int) -> RawDataset:
    """The source with a part of its train split as its test split; the source itself where it has one of its own.

    Of n samples of a class, the nearest whole number to `fraction` n is held out, and of two or more at least one;
    at least one stays. Samples without labels are one class. Where no class has two samples, nothing is held out.

    Args:
        raw: the source.
        fraction: in (0, 1).
        seed: of the draw.
    """
    if "train" not in raw.splits or any(name in raw.splits for name in HELD_OUT_SPLITS):
        return raw
    train = raw.splits["train"]
    held = _drawn([sample.label for sample in train.samples()], fraction, seed)
    if not held:
        return raw
    parts = {
        "train": RawSplit(train.count - len(held), partial(_part, train, held, False)),
        "test": RawSplit(len(held), partial(_part, train, held, True)),
    }
    return replace(raw, splits={**raw.splits, **parts})


def _drawn(labels: list[int | None], fraction: float, seed: int) -> frozenset[int]:
    """The places of the samples that are held out."""
    rng, places = np.random.default_rng(seed), dict[int | None, list[int]]()
    for place, label in enumerate(labels):
        places.setdefault(label, []).append(place)
    held: list[int] = []
    for label in sorted(places, key=lambda label: -1 if label is None else label):
        of_class = places[label]
        count = min(max(int(fraction * len(of_class) + 0.5), 1), len(of_class) - 1)
        held += rng.permutation(of_class)[:count].tolist()
    return frozenset(held)


def _part(split: RawSplit, held: frozenset[int], wanted: bool) -> Iterator[RawSample]:
    return (sample for place, sample in enumerate(split.samples()) if (place in held) is wanted)
