"""The checks of a source: every example passes by once, and what is wrong with any of them is noted."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from functools import cached_property
from typing import NamedTuple

from sparring.core.errors import UsageError
from sparring.data.faults import SHOWN, Faults
from sparring.data.manifest import MOST_CLASSES, plain
from sparring.data.selection import Dropped, Selection
from sparring.data.sources import Example, Pixels, Raw, Unreadable
from sparring.data.sources.images import cropped, resized

_WIDER = "keep other classes, or smaller images too"


class Taken(NamedTuple):
    """What goes into the store: pixels in the wanted size, and the class there, or None."""

    pixels: Pixels
    label: int | None


class Survey:
    """Watches a source go by.

    Args:
        raw: the opened source.
        selection: what is taken of it; the rest is counted, and of other classes not even read.
        size: the edge to resize images to, grey ones among colour in three channels; None to take all as they are.
        faults: what is found is added.
    """

    def __init__(self, raw: Raw, selection: Selection, size: int | None, faults: Faults) -> None:
        self._raw = raw
        self._selection = selection
        self._size = size
        self._faults = faults
        # Asked of the source beforehand, which takes a moment where there is colour: what is written has one shape.
        self._check_names()
        self._colour = size is not None and not len(faults) and self._has_colour()
        self._found: dict[str, Counter[int]] = {split: Counter() for split in raw.splits}
        self._taken: dict[str, Counter[int | None]] = {split: Counter() for split in raw.splits}
        self._others: Counter[str] = Counter()
        self._small: Counter[str] = Counter()
        self._shapes: Counter[tuple[int, ...]] = Counter()
        self._places: dict[tuple[int, ...], list[str]] = {}
        self._seen: Counter[str] = Counter()
        if "train" not in raw.splits and not len(faults):
            faults.add("missing splits", f"no train split, only {', '.join(raw.splits) or 'nothing'}")
        for split in (split for split, each in raw.splits.items() if each.count == 0):
            faults.add("empty splits", f"{split}: no samples")

    def passed(self, split: str, example: Example) -> Taken | None:
        """What is taken of an example, or None where it is left out or at fault."""
        self._seen[split] += 1
        if example.label is not None:
            self._label(split, example.where, example.label)
            if not self._selection.takes(example.label):
                self._others[split] += 1
                return None
        pixels = self._read(example)
        if pixels is None:
            return None
        if self._raw.labelled and example.label is None:
            self._faults.add("labels", f"{example.where}: no label")
        if not self._selection.takes_size(*pixels.shape[1:]):
            self._small[split] += 1
            return None
        square = self._fitted(example.where, pixels)
        if square is None:
            return None
        self._shapes[square.shape] += 1
        # Of so many shapes, enough are unlike the others for all that is shown.
        if square.shape in self._places or len(self._places) <= SHOWN:
            places = self._places.setdefault(square.shape, [])
            if len(places) < SHOWN:
                places.append(example.where)
        label = None if example.label is None else self._selection.renumbered(example.label)
        self._taken[split][label] += 1
        return Taken(square, label)

    def conclude(self) -> None:
        """Note what only the whole source shows: samples that are missing, unlike shapes, empty classes."""
        for split, each in self._raw.splits.items():
            if self._seen[split] != each.count and not len(self._faults):
                counts = f"{each.count:,} samples announced, {self._seen[split]:,} read"
                self._faults.add("missing samples", f"{split}: {counts}")
        self._compare_shapes()
        train = self._found.get("train")
        if train is not None and self._raw.labelled:
            for index, name in enumerate(self._all_classes()):
                if self._selection.takes(index) and not train[index]:
                    self._faults.add("empty classes", f"train: class {name!r} has no samples")

    def classes(self, source: str) -> tuple[str, ...]:
        """The names of the classes that were taken.

        Raises:
            UsageError: the source has not all that were asked for, or what was dropped leaves nothing.
        """
        classes = self._selection.of(self._all_classes(), source=source)
        for split in self._raw.splits:
            if not self.count(split):
                left_out = self._selection.left_out(self.dropped(split))
                raise UsageError(f"{split}: nothing is left; dropped: {left_out}", _WIDER)
        for index, name in enumerate(classes):
            if not self._taken["train"][index]:
                small = f"every image has a side under {self._selection.min_side}"
                raise UsageError(f"train: nothing is left of class {name!r}; {small}", _WIDER)
        return classes

    def count(self, split: str) -> int:
        """How many samples of a split were taken."""
        return self._taken[split].total()

    def per_class(self, split: str, classes: tuple[str, ...]) -> tuple[int, ...]:
        """How many samples of every class were taken."""
        return tuple(self._taken[split][index] for index in range(len(classes)))

    def dropped(self, split: str) -> Dropped:
        """How many samples were left out."""
        return Dropped(other_classes=self._others[split], small=self._small[split])

    def _check_names(self) -> None:
        """A stranger's names of classes are printed and stored."""
        names = self._raw.classes
        if len(names) > MOST_CLASSES:
            self._faults.add("labels", f"{len(names):,} classes, where {MOST_CLASSES:,} are allowed")
            return
        for name, count in Counter(names).items():
            try:
                plain(name)
            except ValueError as error:
                self._faults.add("class names", f"class {name!r}: {error}")
            if count > 1:
                self._faults.add("class names", f"class {name!r}: the name of {count} classes")

    def _label(self, split: str, where: str, label: int) -> None:
        known = len(self._raw.classes)
        if not 0 <= label < (known or MOST_CLASSES):
            allowed = f"0 to {(known or MOST_CLASSES) - 1}"
            self._faults.add("labels", f"{where}: label {label}, where {allowed} is allowed")
        else:
            self._found[split][label] += 1

    def _read(self, example: Example) -> Pixels | None:
        try:
            return example.read()
        except Unreadable as error:
            self._faults.add("unreadable images", f"{example.where}: {error}")
            return None

    def _fitted(self, where: str, pixels: Pixels) -> Pixels | None:
        edge = self._selection.crop
        if edge is not None:
            if min(pixels.shape[1:]) < edge:
                sides = f"{_times(pixels.shape[1:])} pixels, too few to crop {edge}; a least side of {edge} drops such"
                self._faults.add("images smaller than the crop", f"{where}: {sides}")
                return None
            pixels = cropped(pixels, edge)
        if self._size is None:
            return pixels
        square = resized(pixels, self._size)
        return square.repeat(3, axis=0) if self._colour and len(square) == 1 else square

    def _has_colour(self) -> bool:
        for example in (example for split in self._raw.splits.values() for example in split.examples()):
            if self._selection.takes(example.label):
                with suppress(Unreadable):
                    pixels = example.read()
                    if pixels is not None and len(pixels) == 3 and self._selection.takes_size(*pixels.shape[1:]):
                        return True
        return False

    def _all_classes(self) -> tuple[str, ...]:
        return self._raw.classes or self._numbered

    def _compare_shapes(self) -> None:
        if len(self._shapes) < 2:
            return
        usual = max(self._shapes, key=lambda shape: self._shapes[shape])
        unlike = self._shapes.total() - self._shapes[usual]
        for shape, places in self._places.items():
            for where in places if shape != usual else ():
                sides = f"shape {_times(shape)}, where the others have {_times(usual)}"
                self._faults.add("unlike shapes", f"{where}: {sides}; give a size to make them alike")
                unlike -= 1
        self._faults.count("unlike shapes", unlike)

    @cached_property
    def _numbered(self) -> tuple[str, ...]:
        """The names of classes that the source only numbers, once it has passed."""
        counts = sum(self._found.values(), Counter())
        highest = max(counts, default=-1)
        if highest >= counts.total():
            self._faults.add("labels", f"labels up to {highest}, but only {counts.total():,} samples")
            return ()
        return tuple(map(str, range(highest + 1)))


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
