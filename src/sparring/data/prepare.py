"""Any source into a prepared store; all that is wrong with the source is found here, and reported in one error.

Samples pass one by one from the reader to the disk, pixels and labels alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sparring.core.errors import UsageError
from sparring.core.files import storage_errors, whole_folder, write_whole
from sparring.core.process import SILENT, Progress
from sparring.data.faults import Faults
from sparring.data.hold_out import hold_out
from sparring.data.manifest import FILENAME, LABELS, SAMPLES, Dropped, Selection, StoredFile, StoredSplit, StoreManifest
from sparring.data.sources import Pixels, RawDataset, RawSample, UnreadableImage, open_source, source_name
from sparring.data.sources.images import cropped, resized
from sparring.data.store import is_store, write_split

MOST_CLASSES = 2**16
"""Labels of more classes number the samples."""
_EVERY = 500


def prepare(
    source: str,
    out: Path,
    *,
    size: int | None = None,
    selection: Selection = Selection(),  # noqa: B008  a frozen record
    progress: Progress = SILENT,
) -> StoreManifest:
    """Read a source, check every sample, and write a store.

    Args:
        source: a path, a hub id, or `digits`.
        out: the store's folder, which must not exist yet.
        size: scale the shorter side to this many pixels and crop to the square in the middle, both in one step of
            Lanczos resampling (antialiased). None takes images as they are. If some are in colour, all get three
            channels.
        selection: which samples to take and to hold out, and which square of each before it is scaled. By default all
            are taken, and a tenth of every class is held out where the source has no test split.
        progress: counts samples.

    Raises:
        UsageError: there is no such source, it has no such classes, it has a test split and a share of it is to be held
            out, or `out` exists.
        CorruptInput: the source has faults, or nothing is left of it; one error for all, and nothing is left behind.
        StorageError: the disk is full or refuses; nothing is left behind.
    """
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out}: exists already", "name a folder that does not exist, or remove this one first")
    if is_store(Path(source)):
        raise UsageError(f"{source}: a prepared store already", f"train on it as it is: data={source}")
    faults = Faults()
    with storage_errors(out):
        raw = open_source(source, faults)
        raw, selection = hold_out(raw, selection, faults)
        intake = _Intake(raw, source_name(source), selection, size, faults)
        with whole_folder(out) as folder:
            files = _write_splits(folder, raw, intake, progress)
            intake.check()
            faults.raise_any(intake.source, "repair or remove what is named, or take more of the source, and try again")
            manifest = intake.manifest(files)
            write_whole(folder / FILENAME, (manifest.model_dump_json(indent=2) + "\n").encode())
    return manifest


def _write_splits(
    folder: Path, raw: RawDataset, intake: _Intake, progress: Progress
) -> dict[str, dict[str, StoredFile]]:
    """Pass every sample through the intake; what it takes is written as long as no fault was found."""
    total = sum(split.count for split in raw.splits.values())
    done = 0

    def taken(name: str) -> Iterator[tuple[Pixels, int | None]]:
        nonlocal done
        for sample in raw.splits[name].samples():
            pixels = intake.take(name, sample)
            if pixels is not None and not len(intake.faults):
                yield pixels, intake.selection.renumbered(sample.label)
            done += 1
            if done % _EVERY == 0 or done == total:
                progress.advance(done, total)

    in_order = sorted(raw.splits, key=lambda name: (name != "train", name))
    return {name: write_split(folder / name, taken(name)) for name in in_order}


@dataclass
class _Counts:
    """Samples of one split: taken, by label in the store, and left out."""

    taken: Counter[int | None] = field(default_factory=Counter)
    other_classes: int = 0
    small: int = 0

    def dropped(self) -> Dropped:
        return Dropped(other_classes=self.other_classes, small=self.small)


class _Intake:
    """Takes samples one by one: selects, crops, resizes, counts, and notes what is wrong with them.

    Args:
        raw: the opened source.
        source: its name in messages.
        selection: what is taken of it; images of other classes are not even decoded.
        size: the edge to resize images to; None to take all as they are.
        faults: what is wrong is added.

    Raises:
        UsageError: the source lacks the classes that are selected.
    """

    def __init__(self, raw: RawDataset, source: str, selection: Selection, size: int | None, faults: Faults) -> None:
        if raw.classes or not raw.labelled:
            selection.kept_classes(raw.classes, source=source)
        if "train" not in raw.splits and not len(faults):
            faults.add(f"no train split, only {', '.join(raw.splits)}" if raw.splits else "no train split")
        self.source = source
        self.selection = selection
        self.faults = faults
        self._raw = raw
        self._size = size
        self._shape: tuple[int, ...] = ()
        self._last_label = -1
        self._counts = {name: _Counts() for name in raw.splits}
        # Looked up beforehand, since all samples are written in one shape.
        self._colour = self._has_colour()

    def take(self, split: str, sample: RawSample) -> Pixels | None:
        """The pixels of a sample as they are stored, or None where it is left out or at fault."""
        counts, label, pixels = self._counts[split], sample.label, None
        if label is not None:
            self._check_label(sample.where, label)
        elif self._raw.labelled:
            self.faults.add(f"{sample.where}: no label")
        if not self.selection.takes(label):
            counts.other_classes += 1
            return None
        try:
            pixels = sample.read()
            if not self.selection.takes_size(*pixels.shape[1:]):
                counts.small += 1
                return None
            pixels = self._fitted(pixels)
        except UnreadableImage as error:
            self.faults.add(f"{sample.where}: {error}")
            pixels = None
        counts.taken[self.selection.renumbered(label)] += 1
        return pixels

    def check(self) -> None:
        """Note splits and classes of which nothing is left, once all samples have passed.

        Raises:
            UsageError: the source lacks the classes that are selected.
        """
        for name, counts in self._counts.items():
            if not counts.taken and not len(self.faults):
                left_out = self.selection.left_out(counts.dropped())
                self.faults.add(f"{name}: no samples" + (f" are left; dropped: {left_out}" if left_out else ""))
        least = f" with sides of at least {self.selection.min_side}" if self.selection.min_side else ""
        taken = self._counts.get("train", _Counts()).taken
        for label, name in enumerate(self._kept_classes() if taken else ()):
            if not taken[label]:
                self.faults.add(f"train: class {name!r} has no samples{least}")

    def manifest(self, files: dict[str, dict[str, StoredFile]]) -> StoreManifest:
        """What was taken."""
        classes = self._kept_classes()
        channels, height, width = self._shape
        return StoreManifest(
            source=self.source,
            kind=self._raw.kind,
            selection=self.selection,
            size=self._size,
            shape=(channels, height, width),
            classes=classes,
            splits={
                name: StoredSplit(
                    count=self._counts[name].taken.total(),
                    per_class=tuple(self._counts[name].taken[label] for label in range(len(classes))),
                    samples=written[SAMPLES],
                    labels=written.get(LABELS),
                    dropped=self._counts[name].dropped(),
                )
                for name, written in files.items()
            },
            notes=self._raw.notes,
        )

    def _check_label(self, where: str, label: int) -> None:
        classes = len(self._raw.classes) or MOST_CLASSES
        if 0 <= label < classes:
            self._last_label = max(self._last_label, label)
        else:
            self.faults.add(f"{where}: label {label}, where 0 to {classes - 1} is allowed")

    def _kept_classes(self) -> tuple[str, ...]:
        """The source's names of the classes that are kept, or their numbers."""
        return self.selection.kept_classes(
            self._raw.classes or tuple(map(str, range(self._last_label + 1))), source=self.source
        )

    def _fitted(self, pixels: Pixels) -> Pixels:
        edge = self.selection.crop
        if edge is not None:
            if min(pixels.shape[1:]) < edge:
                sides = f"{_times(pixels.shape[1:])} pixels, too few to crop {edge}"
                raise UnreadableImage(f"{sides}; --min-side {edge} drops such images")
            pixels = cropped(pixels, edge)
        if self._size is not None:
            pixels = resized(pixels, self._size)
        if self._colour and len(pixels) == 1:
            pixels = pixels.repeat(3, axis=0)
        self._shape = self._shape or pixels.shape
        if pixels.shape != self._shape:
            shapes = f"shape {_times(pixels.shape)}, where the first has {_times(self._shape)}"
            raise UnreadableImage(f"{shapes}; --size makes them alike")
        return pixels

    def _has_colour(self) -> bool:
        for sample in (sample for split in self._raw.splits.values() for sample in split.samples()):
            if self.selection.takes(sample.label):
                with suppress(UnreadableImage):
                    pixels = sample.read()
                    if len(pixels) == 3 and self.selection.takes_size(*pixels.shape[1:]):
                        return True
        return False


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
