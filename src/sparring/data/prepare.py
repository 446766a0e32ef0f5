"""Any source into a prepared store; all that is wrong with the source is found here, and told at once.

Samples pass one by one from the reader to the disk, pixels and labels alike. Memory holds what the reader needs: the
names of the images in folders, a few blocks of an array, a page of a table, one image.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sparring.core.errors import StorageError, UsageError, escaped
from sparring.core.files import whole_folder, write_whole
from sparring.data.faults import Faults
from sparring.data.manifest import FILENAME, LABELS, SAMPLES, FileFacts, Manifest, SplitFacts
from sparring.data.selection import Selection
from sparring.data.sources import Raw, open_source, source_name
from sparring.data.store import is_store, verified
from sparring.data.survey import Survey
from sparring.data.writing import SplitFiles

Progress = Callable[[int, int], None]
"""Called with the samples read so far and the samples in all."""

_EVERY = 500
_CHUNK = 1024


def prepare(
    source: str,
    out: Path,
    *,
    size: int | None = None,
    selection: Selection | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Read a source, check every sample, and write a store.

    Args:
        source: a path, a hub id, or `digits`.
        out: the store's folder, which must not exist yet.
        size: scale the shorter side to this many pixels and crop to the square in the middle, both in one step of
            Lanczos resampling (antialiased); if some are in colour, all get three channels. None takes images as they
            are.
        selection: which samples to take, and which square of each before it is scaled; None takes all.
        progress: told how far it is.

    Raises:
        UsageError: there is no such source, it has no such classes, nothing is left of it, or `out` exists.
        CorruptInput: the source has faults; all of them at once, and nothing is left behind.
        StorageError: the disk is full or refuses; nothing is left behind.
    """
    if out.exists() or out.is_symlink():
        raise UsageError(f"{out}: exists already", "name a folder that does not exist, or remove this one first")
    if is_store(Path(source)):
        raise UsageError(f"{source}: a prepared store already", f"train on it as it is: data={source}")
    if size is not None and size < 1:
        raise UsageError(f"size = {size}: should be at least 1", "give the edge of the images in pixels")
    faults = Faults()
    try:
        raw = open_source(source, faults)
        name = escaped(source_name(source))
        with whole_folder(out) as folder:
            return _written(raw, name, folder, selection or Selection(), size, faults, progress)
    except OSError as error:
        told = StorageError.from_os(error, out)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free some space or choose another disk, then prepare again" if full else told.remedy
        raise StorageError(told.cause, remedy) from error


def describe(path: Path | str) -> dict[str, Any]:
    """A store in numbers, every byte of it verified: counts; mean, deviation and range of its [-1, 1] values.

    Raises:
        UsageError: there is no store.
        CorruptInput: it is damaged; all faults at once.
    """
    manifest, arrays = verified(Path(path))
    facts = manifest.model_dump(mode="json", exclude={"splits"}) | {"fingerprint": manifest.fingerprint}
    return facts | {
        "splits": {
            name: {
                "count": split.count,
                "dropped": split.dropped.model_dump(),
                "per_class": dict(zip(manifest.classes, split.per_class, strict=True)),
                **_statistics(arrays[name][SAMPLES]),
            }
            for name, split in manifest.splits.items()
        }
    }


def _written(
    raw: Raw,
    name: str,
    folder: Path,
    selection: Selection,
    size: int | None,
    faults: Faults,
    progress: Progress | None,
) -> Manifest:
    if raw.classes or not raw.labelled:
        selection.of(raw.classes, source=name)  # refused before the first image is read
    survey = Survey(raw, selection, size, faults)
    ordered = dict(sorted(raw.splits.items(), key=lambda item: (item[0] != "train", item[0])))
    total = sum(split.count for split in ordered.values())
    done = 0
    files: dict[str, dict[str, FileFacts]] = {}
    shape: tuple[int, ...] = ()
    for split, each in ordered.items():
        with SplitFiles(folder / split, each.count, labelled=raw.labelled) as written:
            for example in each.examples():
                taken = survey.passed(split, example)
                if taken is not None and not len(faults):
                    shape = shape or taken.pixels.shape
                    if taken.pixels.shape == shape:
                        written.append(taken.pixels, taken.label)
                done += 1
                if progress and (done % _EVERY == 0 or done == total):
                    progress(done, total)
            if not len(faults):
                files[split] = written.close()
    survey.conclude()
    faults.tell(name, "mend the source, then prepare it again")
    classes = survey.classes(name)
    splits = {}
    for split in ordered:
        splits[split] = SplitFacts(
            count=survey.count(split),
            per_class=survey.per_class(split, classes),
            samples=files[split][SAMPLES],
            labels=files[split].get(LABELS),
            dropped=survey.dropped(split),
        )
    manifest = Manifest(
        source=name,
        kind=raw.kind,
        selection=selection,
        size=size,
        shape=(shape[0], shape[1], shape[2]),
        classes=classes,
        splits=splits,
    )
    write_whole(folder / FILENAME, (manifest.model_dump_json(indent=2) + "\n").encode())
    return manifest


def _statistics(samples: np.ndarray[Any, np.dtype[np.uint8]]) -> dict[str, list[float]]:
    channels = samples.shape[1]
    counts = np.zeros((channels, 256), np.int64)
    for start in range(0, len(samples), _CHUNK):
        chunk = samples[start : start + _CHUNK]
        for channel in range(channels):
            counts[channel] += np.bincount(chunk[:, channel].ravel(), minlength=256)
    values = np.arange(256) / 127.5 - 1
    mean = counts @ values / counts.sum(1)
    variance = counts @ values**2 / counts.sum(1) - mean**2
    found = values[counts.sum(0) > 0]
    return {
        "mean": mean.tolist(),
        "std": np.sqrt(np.maximum(variance, 0)).tolist(),
        "range": [float(found[0]), float(found[-1])],
    }
