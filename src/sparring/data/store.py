"""Prepared stores: uint8 arrays on disk with a manifest, verified when they are opened, then mapped or moved.

`STORE/manifest.json` lists for every split `SPLIT/samples.npy`, uint8 `(n, channels, height, width)`, and,
where there are labels, `SPLIT/labels.npy`, int64 `(n)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, ValidationError

from sparring.core.errors import CorruptInput, UsageError
from sparring.core.files import sha256
from sparring.core.pieces import piece
from sparring.core.records import nearest, problems_in
from sparring.core.shapes import IMAGE_BOUNDS
from sparring.data.arrays import ArraySource, ImageArrays, fingerprint
from sparring.data.augment import Augmentations, Share
from sparring.data.base import Data, Facts, Source
from sparring.data.faults import Faults, first_line
from sparring.data.manifest import FILENAME, LABELS, SAMPLES, StoredFile, StoreManifest

_REMEDY = "the store is damaged: prepare it again with `sparring data prepare SOURCE --out STORE`"
_CHUNK = 1024

Numbers = npt.NDArray[Any]
Mapped = dict[str, dict[str, Numbers]]
"""Arrays by split and file, memory-mapped: what is written to them stays in memory."""


@piece("store")
class Store(Data):
    """A prepared store of images; evaluated on its test split, else its validation split, else what it is trained on.

    Args:
        path: its folder.
        split: what to train on.
        share: of its images, which is trained on: the same ones for every seed. Generated images are still judged
            against all of them, by a classifier that was trained on all.
        augment: applied to training batches, in order.
        content: the fingerprint that the store must have; empty takes any.
        prepared_by: the command that prepares it again; advice where the store is missing.
    """

    path: str = Field(min_length=1)
    split: str = "train"
    share: Share = 1.0
    augment: Augmentations = ()
    content: str = ""
    prepared_by: str = ""

    def open(self, device: torch.device) -> Source:
        root = Path(self.path)
        if self.prepared_by and not is_store(root):
            raise UsageError(f"{root}: the prepared images are gone", self.prepared_by)
        manifest, arrays = _verified(root)
        if self.content not in ("", manifest.fingerprint):
            cause = f"{root}: its content is {manifest.fingerprint}, not {self.content}"
            raise CorruptInput(cause, "put back the images that the recipe was made for")
        if self.split not in manifest.splits:
            close = nearest(self.split, manifest.splits)
            known = ", ".join(manifest.splits)
            raise UsageError(
                f"data.split = {self.split!r}: {root} has no such split",
                f"did you mean {close}?" if close else f"its splits are: {known}",
            )
        train = _tensors(arrays[self.split]).placed(device)
        held_out = manifest.held_out or self.split
        test = train if held_out == self.split else _tensors(arrays[held_out]).placed(device)
        facts = Facts(
            manifest.shape,
            IMAGE_BOUNDS,
            manifest.classes,
            fingerprint=fingerprint(manifest.fingerprint, self.split),
        )
        source = ArraySource(facts, train, test, scale=127.5, augment=self.augment, device=device)
        return source if self.share == 1 else source.reduced(self.share)


def is_store(path: Path) -> bool:
    """Whether a folder is, or once was, a prepared store."""
    return (path / FILENAME).is_file() or (path / "train" / SAMPLES).is_file()


def write_split(folder: Path, samples: Iterable[tuple[Numbers, int | None]]) -> dict[str, StoredFile]:
    """Write samples of one shape, one by one, and their labels where there are any; sizes and hashes by name.

    Args:
        folder: is made for them.
        samples: pixels `(channels, height, width)` and labels.
    """
    folder.mkdir()
    labels: list[int | None] = []
    # Written, not mapped: on a full disk a write raises, a mapped page kills the process.
    with (folder / SAMPLES).open("wb", buffering=1 << 20) as file:
        shape: tuple[int, ...] = ()
        for pixels, label in samples:
            if not labels:
                shape = pixels.shape
                _write_header(file, (0, *shape))
            file.write(pixels.tobytes())
            labels.append(label)
        file.seek(0)
        _write_header(file, (len(labels), *shape))
    files = [SAMPLES]
    if labels and labels[0] is not None:
        np.save(folder / LABELS, np.array(labels, np.int64))
        files.append(LABELS)
    return {name: StoredFile(bytes=(folder / name).stat().st_size, sha256=sha256(folder / name)) for name in files}


def verify(path: Path | str) -> StoreManifest:
    """Check every byte of a store against the SHA-256 in its manifest.

    Raises:
        UsageError: there is no store.
        CorruptInput: it is damaged; one error for all faults.
    """
    return _verified(Path(path))[0]


def describe(path: Path | str) -> dict[str, Any]:
    """A store in numbers, every byte of it verified: counts; mean, deviation and range of its [-1, 1] values.

    Raises:
        UsageError: there is no store.
        CorruptInput: it is damaged; one error for all faults.
    """
    manifest, arrays = _verified(Path(path))
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


def _verified(root: Path) -> tuple[StoreManifest, Mapped]:
    if not is_store(root):
        if root.exists():
            raise UsageError(f"{root}: not a prepared store", f"`sparring data prepare {root} --out STORE`")
        raise UsageError(
            f"{root}: no such data",
            "give a folder of images or a prepared store: data=PATH; see `sparring data prepare --help`",
        )
    manifest = _manifest(root / FILENAME)
    faults = Faults()
    arrays: Mapped = {}
    for name, split in manifest.splits.items():
        shapes = {SAMPLES: (split.count, *manifest.shape), LABELS: (split.count,)}
        arrays[name] = {}
        for file, facts in split.files().items():
            try:
                arrays[name][file] = _mapped(root / name / file, facts, shapes[file])
            except (OSError, ValueError) as error:
                faults.add(f"{name}/{file}: {first_line(error)}")
    faults.raise_any(str(root), _REMEDY)
    return manifest, arrays


def _manifest(path: Path) -> StoreManifest:
    try:
        return StoreManifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CorruptInput(f"{path}: {first_line(error)}", _REMEDY) from None
    except ValidationError as error:
        problems = "; ".join(map(str, problems_in(error, StoreManifest.model_fields)))
        raise CorruptInput(f"{path}: {problems}", _REMEDY) from None


def _mapped(path: Path, facts: StoredFile, shape: tuple[int, ...]) -> Numbers:
    """The array of a file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not what the manifest says.
    """
    if not path.is_file():
        raise ValueError("missing")
    found = path.stat()
    if found.st_size != facts.bytes:
        raise ValueError(f"{found.st_size:,} bytes, but the manifest says {facts.bytes:,}")
    if _digest(path.resolve(), found.st_ino, found.st_size, found.st_mtime_ns) != facts.sha256:
        raise ValueError("its SHA-256 is not the manifest's; its bytes have changed")
    array = np.lib.format.open_memmap(path, mode="c")
    if array.shape != shape:
        raise ValueError(f"holds {array.shape}, but the manifest says {shape}")
    return array


@lru_cache(maxsize=256)
def _digest(path: Path, *_version: int) -> str:
    """The SHA-256 of a file, read once a process as long as its size and time stay: pages open a store many times."""
    return sha256(path)


def _write_header(file: BinaryIO, shape: tuple[int, ...]) -> None:
    """NumPy pads the header so that its length does not depend on the number of rows."""
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def _tensors(arrays: dict[str, Numbers]) -> ImageArrays:
    labels = torch.from_numpy(np.array(arrays[LABELS])) if LABELS in arrays else None
    return ImageArrays(torch.from_numpy(arrays[SAMPLES]), labels)


def _statistics(samples: Numbers) -> dict[str, list[float]]:
    channels = samples.shape[1]
    counts = np.zeros((channels, 256), np.int64)
    for start in range(0, len(samples), _CHUNK):
        chunk = samples[start : start + _CHUNK]
        for channel in range(channels):
            counts[channel] += np.bincount(chunk[:, channel].ravel(), minlength=256)
    values = np.arange(256) / 127.5 - 1
    mean = counts @ values / counts.sum(1)
    variance = counts @ values**2 / counts.sum(1) - mean**2
    present = values[counts.sum(0) > 0]
    return {
        "mean": mean.tolist(),
        "std": np.sqrt(np.maximum(variance, 0)).tolist(),
        "range": [float(present[0]), float(present[-1])],
    }
