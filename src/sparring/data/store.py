"""Prepared stores: uint8 arrays on disk with a manifest, checked when they are opened, then mapped or moved.

`STORE/manifest.json` lists for every split `SPLIT/samples.npy`, uint8 `(n, channels, height, width)`, and,
where there are labels, `SPLIT/labels.npy`, int64 `(n)`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, ValidationError

from sparring.core.errors import CorruptInput, UsageError
from sparring.core.files import json_mapping
from sparring.core.pieces import piece
from sparring.core.records import nearest, problems_in
from sparring.core.shapes import IMAGE_BOUNDS
from sparring.core.strict import plain_file, read_plain
from sparring.data.arrays import Arrays, ArraySource, fingerprint
from sparring.data.augment import Augmentations
from sparring.data.base import Data, Facts, Source
from sparring.data.faults import Faults, first_line
from sparring.data.manifest import FILENAME, LABELS, SAMPLES, FileFacts, Manifest, SplitFacts
from sparring.data.npy import read_header

_REMEDY = "the store is damaged: prepare it again with `sparring data prepare SOURCE --out STORE`"

_LARGEST = 2**22
"""Bytes of a manifest; classes take most of them."""
_CHUNK = 2**16

Numbers = npt.NDArray[Any]
Mapped = dict[str, dict[str, Numbers]]
"""Arrays by split and file, memory-mapped: what is written to them stays in memory."""

_HELD_OUT = ("test", "validation")
"""What evaluation takes, in order of preference; without either, what is trained on."""


@piece("store")
class Store(Data):
    """A prepared store of images; evaluated on its test split, else its validation split, else what it is trained on.

    Args:
        path: its folder.
        split: what to train on.
        augment: applied to training batches, in order.
    """

    path: str = Field(min_length=1)
    split: str = "train"
    augment: Augmentations = ()

    def open(self, device: torch.device) -> Source:
        root = Path(self.path)
        manifest, arrays = verified(root)
        if self.split not in manifest.splits:
            close = nearest(self.split, manifest.splits)
            known = ", ".join(manifest.splits)
            raise UsageError(
                f"data.split = {self.split!r}: {root} has no such split",
                f"did you mean {close}?" if close else f"its splits are: {known}",
            )
        train = _tensors(arrays[self.split]).placed(device)
        held_out = next((name for name in _HELD_OUT if name in manifest.splits), self.split)
        test = train if held_out == self.split else _tensors(arrays[held_out]).placed(device)
        facts = Facts(
            manifest.shape,
            IMAGE_BOUNDS,
            manifest.classes,
            fingerprint=fingerprint(manifest.fingerprint, self.split),
        )
        return ArraySource(facts, train, test, scale=127.5, augment=self.augment, device=device)


def inspect(path: Path | str) -> Manifest:
    """Check a store but for its samples: the manifest, every file's size, type and shape, and the labels.

    Raises:
        UsageError: there is no store.
        CorruptInput: it is damaged; all faults at once.
    """
    return _inspected(Path(path), hashed=False)[0]


def verify(path: Path | str) -> Manifest:
    """Check a store as `inspect` does, and every byte of it against its SHA-256.

    Raises:
        UsageError: there is no store.
        CorruptInput: it is damaged; all faults at once.
    """
    return verified(Path(path))[0]


def verified(root: Path) -> tuple[Manifest, Mapped]:
    """A store as `verify` checks it, and the very files that were checked, whatever is put in their place later.

    Raises:
        UsageError: there is no store.
        CorruptInput: it is damaged; all faults at once.
    """
    return _inspected(root, hashed=True)


def is_store(path: Path) -> bool:
    """Whether a folder is, or once was, a prepared store."""
    return (path / FILENAME).is_file() or (path / "train" / SAMPLES).is_file()


def _inspected(root: Path, *, hashed: bool) -> tuple[Manifest, Mapped]:
    if not root.exists():
        remedy = f"check the path, or run `sparring data prepare SOURCE --out {root}`"
        raise UsageError(f"{root}: no such store", remedy)
    if not is_store(root):
        raise UsageError(f"{root}: not a prepared store", f"run `sparring data prepare {root} --out STORE`")
    manifest = _manifest(root / FILENAME)
    faults = Faults()
    found: Mapped = {}
    for name, split in manifest.splits.items():
        _check_counts(name, split, manifest, faults)
        wanted = {SAMPLES: f"uint8 {(split.count, *manifest.shape)}", LABELS: f"int64 {(split.count,)}"}
        arrays = {
            file: _mapped(root / name / file, facts, wanted[file], faults, hashed=hashed)
            for file, facts in split.files().items()
        }
        found[name] = {file: array for file, array in arrays.items() if array is not None}
        if LABELS in found[name] and len(found[name]) == len(arrays):
            _check_labels(f"{name}/{LABELS}", found[name][LABELS], split, faults)
    faults.tell(str(root), _REMEDY)
    return manifest, found


def _manifest(path: Path) -> Manifest:
    try:
        return Manifest.model_validate(json_mapping(read_plain(path, _LARGEST), str(path)))
    except CorruptInput as error:
        raise CorruptInput(error.cause, _REMEDY) from None
    except OSError as error:
        raise CorruptInput(f"{path}: {error.strerror}", _REMEDY) from None
    except ValidationError as error:
        faults = Faults()
        for problem in problems_in(error, Manifest.model_fields):
            faults.add("faults", str(problem))
        faults.tell(str(path), _REMEDY)
        raise


def _check_counts(name: str, split: SplitFacts, manifest: Manifest, faults: Faults) -> None:
    if len(split.per_class) != len(manifest.classes):
        counts = f"{len(split.per_class)} class counts for {len(manifest.classes)} classes"
        faults.add("faults", f"{FILENAME}: splits.{name} has {counts}")
    elif manifest.classes and sum(split.per_class) != split.count:
        faults.add("faults", f"{FILENAME}: splits.{name}.per_class does not add up to {split.count}")
    if bool(manifest.classes) != bool(split.labels):
        faults.add("faults", f"{FILENAME}: splits.{name} has labels without classes, or classes without labels")


def _mapped(path: Path, facts: FileFacts, wanted: str, faults: Faults, *, hashed: bool) -> Numbers | None:
    """The array of a file, mapped while the file that was checked is still open; None if it is at fault."""
    name = f"{path.parent.name}/{path.name}"
    try:
        with plain_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size != facts.bytes:
                raise ValueError(f"{size:,} bytes, but the manifest says {facts.bytes:,}")
            header = read_header(file)
            found = f"{header.dtype} {header.shape}"
            if found != wanted:
                raise ValueError(f"holds {found}, but the manifest says {wanted}")
            file.seek(0)
            if hashed and hashlib.file_digest(file, "sha256").hexdigest() != facts.sha256:
                raise ValueError("its SHA-256 is not the manifest's; its bytes have changed")
            return np.memmap(file, header.dtype, "c", header.offset, header.shape)
    except CorruptInput as error:
        faults.add("faults", f"{name}{error.cause.removeprefix(str(path))}")
    except (OSError, ValueError) as error:
        faults.add("faults", f"{name}: {first_line(error)}")
    return None


def _check_labels(name: str, labels: Numbers, split: SplitFacts, faults: Faults) -> None:
    classes = len(split.per_class)
    counts = np.zeros(classes, np.int64)
    for start in range(0, len(labels), _CHUNK):
        chunk = labels[start : start + _CHUNK]
        wrong = np.flatnonzero((chunk < 0) | (chunk >= classes))
        if len(wrong):
            row = start + int(wrong[0])
            faults.add("faults", f"{name}[{row}]: label {labels[row]}, where 0 to {classes - 1} is allowed")
            return
        counts += np.bincount(chunk, minlength=classes)
    if tuple(counts.tolist()) != split.per_class:
        faults.add("faults", f"{name}: its counts per class are not the manifest's")


def _tensors(arrays: dict[str, Numbers]) -> Arrays:
    labels = torch.from_numpy(np.array(arrays[LABELS])) if LABELS in arrays else None
    return Arrays(torch.from_numpy(arrays[SAMPLES]), labels)
