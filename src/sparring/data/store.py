"""Prepared stores: uint8 arrays on disk with a manifest, checked when they are opened, then mapped or moved.

`STORE/manifest.json` lists for every split `SPLIT/samples.npy`, uint8 `(n, channels, height, width)`, and,
where there are labels, `SPLIT/labels.npy`, int64 `(n)`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field, ValidationError

from sparring.data.arrays import Arrays, ArraySource, fingerprint
from sparring.data.augment import Augmentations
from sparring.data.base import Data, Facts, Source
from sparring.data.faults import Faults, first_line
from sparring.data.manifest import FILENAME, LABELS, SAMPLES, FileFacts, Manifest, SplitFacts
from sparring.errors import CorruptInput, UsageError
from sparring.files import sha256
from sparring.pieces import piece
from sparring.records import nearest, problems_in
from sparring.shapes import IMAGE_BOUNDS

_REMEDY = "the store is damaged: prepare it again with `sparring data prepare SOURCE --out STORE`"

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
        manifest = verify(root)
        if self.split not in manifest.splits:
            close = nearest(self.split, manifest.splits)
            known = ", ".join(manifest.splits)
            raise UsageError(
                f"data.split = {self.split!r}: {root} has no such split",
                f"did you mean {close}?" if close else f"its splits are: {known}",
            )
        train = _arrays(root, manifest, self.split).placed(device)
        held_out = next((name for name in _HELD_OUT if name in manifest.splits), self.split)
        test = train if held_out == self.split else _arrays(root, manifest, held_out).placed(device)
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
    return _inspected(Path(path), hashed=False)


def verify(path: Path | str) -> Manifest:
    """Check a store as `inspect` does, and every byte of it against its SHA-256.

    Raises:
        UsageError: there is no store.
        CorruptInput: it is damaged; all faults at once.
    """
    return _inspected(Path(path), hashed=True)


def mapped(path: Path) -> npt.NDArray[Any]:
    """A `.npy` file, memory-mapped; what is written to the array stays in memory.

    Raises:
        ValueError: it is not an array file, or it is a pickle.
    """
    array: npt.NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    return array


def is_store(path: Path) -> bool:
    """Whether a folder is, or once was, a prepared store."""
    return (path / FILENAME).is_file() or (path / "train" / SAMPLES).is_file()


def _inspected(root: Path, *, hashed: bool) -> Manifest:
    if not root.exists():
        remedy = f"check the path, or run `sparring data prepare SOURCE --out {root}`"
        raise UsageError(f"{root}: no such store", remedy)
    if not is_store(root):
        raise UsageError(f"{root}: not a prepared store", f"run `sparring data prepare {root} --out STORE`")
    manifest = _manifest(root / FILENAME)
    faults = Faults()
    for name, split in manifest.splits.items():
        _check_counts(name, split, manifest, faults)
        wanted = {SAMPLES: f"uint8 {(split.count, *manifest.shape)}", LABELS: f"int64 {(split.count,)}"}
        sound = [
            _sound(root / name / file, facts, wanted[file], faults, hashed=hashed)
            for file, facts in split.files().items()
        ]
        if all(sound) and split.labels:
            _check_labels(root / name / LABELS, split, faults)
    faults.tell(str(root), _REMEDY)
    return manifest


def _manifest(path: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CorruptInput(f"{path}: {error.strerror}", _REMEDY) from None
    except ValidationError as error:
        faults = Faults()
        for problem in problems_in(error, Manifest.model_fields):
            faults.add("faults", str(problem) if problem.path else f"not valid JSON: {problem.message}")
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


def _sound(path: Path, facts: FileFacts, wanted: str, faults: Faults, *, hashed: bool) -> bool:
    name = f"{path.parent.name}/{path.name}"
    try:
        size = path.stat().st_size
        if size != facts.bytes:
            faults.add("faults", f"{name}: {size:,} bytes, but the manifest says {facts.bytes:,}")
            return False
        array = mapped(path)
        found = f"{array.dtype} {array.shape}"
        if found != wanted:
            faults.add("faults", f"{name}: holds {found}, but the manifest says {wanted}")
        elif hashed and sha256(path) != facts.sha256:
            faults.add("faults", f"{name}: its SHA-256 is not the manifest's; its bytes have changed")
        else:
            return True
    except OSError as error:
        faults.add("faults", f"{name}: {error.strerror or error}")
    except ValueError as error:
        faults.add("faults", f"{name}: not an array of numbers ({first_line(error)})")
    return False


def _check_labels(path: Path, split: SplitFacts, faults: Faults) -> None:
    found, counts = np.unique(mapped(path), return_counts=True)
    said = {index: count for index, count in enumerate(split.per_class) if count}
    if dict(zip(found.tolist(), counts.tolist(), strict=True)) != said:
        faults.add("faults", f"{path.parent.name}/{path.name}: its counts per class are not the manifest's")


def _arrays(root: Path, manifest: Manifest, split: str) -> Arrays:
    samples = torch.from_numpy(mapped(root / split / SAMPLES))
    labels = torch.from_numpy(np.array(mapped(root / split / LABELS))) if manifest.classes else None
    return Arrays(samples, labels)
