"""Images of the user's own, as they lie on disk: prepared once into the cache, for training with a held-out part.

    sparring train robgan/images data=path/to/folder --out runs/mine

The recipe of the run names the prepared store, the digest of its content, and the command that prepares it again.
"""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from sparring.core.errors import StorageError, UsageError
from sparring.core.files import storage_errors
from sparring.core.process import Progress
from sparring.data import Selection, Store, StoreManifest, is_store, prepare, verify
from sparring.data.faults import Faults
from sparring.data.sources import RawDataset, UnreadableImage, open_source
from sparring.data.sources.npz import npz_files
from sparring.recipes import AnyRecipe, ClassifierRecipe
from sparring.runs.caching import cache_folder

SIDES = (8, 16, 32)
"""The sides that images are scaled to; larger ones take too long without a GPU."""
_LOOKED_AT = 200
"""Images whose sizes are looked at."""


class PreparedData(NamedTuple):
    """Data as a store.

    Args:
        data: the store.
        name: of the images; empty where they were a store already.
        scaling: `scaled from 20 x 14 to 16 x 16` pixels; empty where they were not scaled here.
    """

    data: Store
    name: str = ""
    scaling: str = ""


def with_prepared_data(recipe: AnyRecipe, progress: Progress) -> AnyRecipe:
    """The recipe, whose data are prepared as by `prepared`. The description then begins with the name of the data.

    The generated images of a classifier's recipe are prepared without a held-out part.

    Args:
        recipe: of a GAN or a classifier.
        progress: says what was chosen, and counts images.

    Raises:
        UsageError, CorruptInput, StorageError: as `prepared`.
    """
    if isinstance(recipe, ClassifierRecipe) and recipe.fakes and isinstance(recipe.fakes.data, Store):
        fakes = prepared(recipe.fakes.data, progress, test_fraction=0)
        recipe = recipe.model_copy(update={"fakes": recipe.fakes.model_copy(update={"data": fakes.data})})
    if not isinstance(recipe.data, Store):
        return recipe
    data, name, _ = prepared(recipe.data, progress)
    if not name:
        return recipe
    _, _, kind = recipe.description.partition(", ")
    return recipe.model_copy(update={"data": data, "description": f"{name}, {kind or recipe.description}"})


def prepared(data: Store, progress: Progress, *, test_fraction: float | None = None) -> PreparedData:
    """The data, prepared if they are a folder or a file of images; a store as it is.

    The side is the next of `SIDES` above the median of the images' shorter sides, or the largest.

    Args:
        data: a store, or images as they lie on disk.
        progress: says what was chosen, and counts images.
        test_fraction: as of a `Selection`.

    Raises:
        UsageError: nothing there can be read as images.
        CorruptInput: images are at fault; one error for all.
        StorageError: the disk refused.
    """
    if not os.path.exists(data.path) or is_store(Path(data.path)):
        return PreparedData(data)
    source = Path(data.path).resolve()
    faults = Faults()
    with storage_errors(source):
        raw = open_source(str(source), faults)
        sides = list(_sides(raw))
    if not sides:
        faults.add("no image that can be read")
    faults.raise_any(source.name, "give a folder of images, with a folder for each class, or an .npz file")
    side = next((each for each in SIDES if each >= median(map(min, sides))), SIDES[-1])
    selection = Selection(test_fraction=test_fraction)
    store = cache_folder() / "stores" / f"{source.stem}-{side}-{_digest(source, side, selection)}"
    if not is_store(store):
        try:
            prepare(str(source), store, size=side, selection=selection, progress=progress.part("preparing the images"))
        except (StorageError, UsageError):
            if not is_store(store):  # or another process, as of a sweep, has prepared the same images meanwhile
                raise
    manifest = verify(store)
    scaling = _scaling(sides, side)
    for note in _notes(manifest, scaling, store):
        progress.note(note)
    command = _command(source, side, selection, store)
    changes = {"path": str(store), "content": manifest.fingerprint, "prepared_by": command}
    return PreparedData(data.model_copy(update=changes), f"{manifest.source} {side} x {side}", scaling)


def _sides(raw: RawDataset) -> Iterator[tuple[int, int]]:
    """Height and width of some images, evenly from all."""
    for split in raw.splits.values():
        every = max(1, split.count // _LOOKED_AT)
        for place, sample in enumerate(split.samples()):
            if place % every == 0:
                try:
                    _, height, width = sample.read().shape
                except UnreadableImage:
                    continue  # reported when all are read
                yield height, width


def _digest(source: Path, side: int, selection: Selection) -> str:
    """A digest of where the images are, of names, sizes and times of the files, and of what is made of them."""
    files = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else npz_files(source)
    states = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr((states, side, selection)).encode()).hexdigest()[:12]


def _command(source: Path, side: int, selection: Selection, store: Path) -> str:
    held = "" if selection.test_fraction is None else f" --test-fraction {selection.test_fraction:g}"
    return f"sparring data prepare {shlex.quote(str(source))} --size {side}{held} --out {shlex.quote(str(store))}"


def _scaling(sides: list[tuple[int, int]], side: int) -> str:
    """What was done to the sizes of images, width x height."""
    least, most = (kind(sides, key=min) for kind in (min, max))
    if {least, most} == {(side, side)}:
        return ""
    found = f"{least[1]} x {least[0]}" if least == most else f"{least[1]} x {least[0]} to {most[1]} x {most[0]}"
    return f"scaled from {found} to {side} x {side}"


def _notes(manifest: StoreManifest, scaling: str, store: Path) -> Iterator[str]:
    """What the data are and what was done to them."""
    channels, classes = manifest.shape[0], manifest.classes
    total = sum(split.count for split in manifest.splits.values())
    shown = ", ".join(classes[:6]) + (", ..." if len(classes) > 6 else "")
    of = {0: "no classes", 1: f"one class ({shown})"}.get(len(classes), f"{len(classes)} classes ({shown})")
    yield f"data: {total:,} images in {'colour' if channels == 3 else 'grey'} of {of} in {manifest.source}"
    yield from (f"data: {note}" for note in manifest.notes)
    if scaling:
        yield f"data: the square in the middle of each is {scaling} pixels"
    yield f"data: {manifest.what_is_held_out}; prepared in {store}"
