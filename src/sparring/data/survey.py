"""The checks of a source: every example passes by once, and what is wrong with any of them is noted."""

from __future__ import annotations

from collections import Counter

from sparring.data.faults import SHOWN, Faults
from sparring.data.sources import Example, Pixels, Raw
from sparring.data.sources.images import resized

_LABELS = 2**31
"""No data set numbers its classes up to here."""


class Survey:
    """Watches a source go by.

    Args:
        raw: the opened source.
        size: the edge to resize images to, grey ones among colour in three channels; None to take all as they are.
        faults: what is found is added.
    """

    def __init__(self, raw: Raw, size: int | None, faults: Faults) -> None:
        self._raw = raw
        self._size = size
        self._faults = faults
        # Asked of the source beforehand, which takes a moment where there is colour: what is written has one shape.
        self._colour = size is not None and _has_colour(raw)
        self._labels: dict[str, Counter[int]] = {split: Counter() for split in raw.splits}
        self._shapes: Counter[tuple[int, ...]] = Counter()
        self._places: dict[tuple[int, ...], list[str]] = {}
        self._seen: Counter[str] = Counter()
        if "train" not in raw.splits and not len(faults):
            faults.add("missing splits", f"no train split, only {', '.join(raw.splits) or 'nothing'}")
        for split in (split for split, each in raw.splits.items() if each.count == 0):
            faults.add("empty splits", f"{split}: no samples")

    def passed(self, split: str, example: Example) -> Pixels | None:
        """The example's pixels in the wanted size, or None where it has none."""
        self._seen[split] += 1
        if example.fault:
            self._faults.add("unreadable images", f"{example.where}: {example.fault}")
        elif self._raw.labelled and example.label is None:
            self._faults.add("labels", f"{example.where}: no label")
        if example.label is not None:
            self._label(split, example.where, example.label)
        if example.pixels is None:
            return None
        pixels = example.pixels if self._size is None else self._fitted(example.pixels, self._size)
        self._shapes[pixels.shape] += 1
        places = self._places.setdefault(pixels.shape, [])
        if len(places) < SHOWN:
            places.append(example.where)
        return pixels

    def conclude(self) -> tuple[str, ...]:
        """Note what only the whole source shows, unlike shapes and empty classes; return the class names."""
        for split, each in self._raw.splits.items():
            if self._seen[split] != each.count and not len(self._faults):
                counts = f"{each.count:,} samples announced, {self._seen[split]:,} read"
                self._faults.add("missing samples", f"{split}: {counts}")
        self._compare_shapes()
        classes = self._raw.classes or self._numbered()
        train = self._labels.get("train")
        if train is not None and self._raw.labelled:
            for index in (index for index in range(len(classes)) if not train[index]):
                self._faults.add("empty classes", f"train: class {classes[index]!r} has no samples")
        return classes

    def per_class(self, split: str, classes: tuple[str, ...]) -> tuple[int, ...]:
        """How many samples of every class were seen."""
        return tuple(self._labels[split][index] for index in range(len(classes)))

    def _label(self, split: str, where: str, label: int) -> None:
        known = len(self._raw.classes)
        if not 0 <= label < (known or _LABELS):
            allowed = f"0 to {known - 1}" if known else "0 or more"
            self._faults.add("labels", f"{where}: label {label}, where {allowed} is allowed")
        else:
            self._labels[split][label] += 1

    def _fitted(self, pixels: Pixels, size: int) -> Pixels:
        square = resized(pixels, size)
        return square.repeat(3, axis=0) if self._colour and len(square) == 1 else square

    def _compare_shapes(self) -> None:
        if len(self._shapes) < 2:
            return
        usual = max(self._shapes, key=lambda shape: self._shapes[shape])
        for shape, places in self._places.items():
            if shape == usual:
                continue
            for where in places:
                sides = f"shape {_times(shape)}, where the others have {_times(usual)}"
                self._faults.add("unlike shapes", f"{where}: {sides}; give a size to make them alike")
            self._faults.count("unlike shapes", self._shapes[shape] - len(places))

    def _numbered(self) -> tuple[str, ...]:
        counts = sum(self._labels.values(), Counter())
        highest = max(counts, default=-1)
        if highest >= counts.total():
            self._faults.add("labels", f"labels up to {highest}, but only {counts.total():,} samples")
            return ()
        return tuple(map(str, range(highest + 1)))


def _has_colour(raw: Raw) -> bool:
    examples = (example for split in raw.splits.values() for example in split.examples())
    return any(len(example.pixels) == 3 for example in examples if example.pixels is not None)


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
