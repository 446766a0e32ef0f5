"""A part of a source that is held out: the same share of every class, drawn once from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from sparring.core.errors import UsageError
from sparring.data.faults import Faults
from sparring.data.manifest import HELD_OUT_SPLITS, Selection
from sparring.data.sources import RawDataset, RawSample, RawSplit

HELD_OUT = 0.1
"""The share that is held out by default."""


def hold_out(raw: RawDataset, selection: Selection, faults: Faults) -> tuple[RawDataset, Selection]:
    """The source with a part of its train split as its test split, and the selection with the share that was taken.

    Of n samples of a class, the nearest whole number to `test_fraction` n is held out, and of two or more at least one;
    at least one stays. Samples without labels are one class.

    Args:
        raw: the source.
        selection: its `test_fraction` and `seed`.
        faults: a train split that is too small is added.

    Raises:
        UsageError: a share is asked for, and the source has a test or validation split.
    """
    has_its_own = any(name in raw.splits for name in HELD_OUT_SPLITS)
    if has_its_own and selection.test_fraction:
        raise UsageError("test fraction: the source has a test split of its own", "leave --test-fraction out")
    if has_its_own or selection.test_fraction == 0 or "train" not in raw.splits:
        return raw, selection
    fraction, train = selection.test_fraction or HELD_OUT, raw.splits["train"]
    held = _drawn([sample.label for sample in train.samples()], fraction, selection.seed)
    if not held:
        if train.count:
            faults.add(
                f"train: {train.count:,} samples, with no two of a class, so that none can be held out; "
                "`sparring data prepare --test-fraction 0` holds none out"
            )
        return raw, selection
    parts = {
        "train": RawSplit(train.count - len(held), partial(_part, train, held, False)),
        "test": RawSplit(len(held), partial(_part, train, held, True)),
    }
    drawn = selection.model_copy(update={"test_fraction": fraction})
    return replace(raw, splits={**raw.splits, **parts}), drawn


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
