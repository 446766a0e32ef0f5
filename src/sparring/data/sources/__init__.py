"""Which reader opens a source is found by looking at it: the first of the table that applies."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from sparring.core.errors import CorruptInput, SparringError, UsageError
from sparring.data.faults import Faults
from sparring.data.sources.base import Pixels, RawDataset, RawSample, RawSplit, UnreadableImage
from sparring.data.sources.celeba import has_celeba, read_celeba
from sparring.data.sources.idx import has_idx, read_idx
from sparring.data.sources.image_folders import has_images, read_folder
from sparring.data.sources.imagenet import has_imagenet, read_imagenet
from sparring.data.sources.lsun import has_lmdb, read_lsun
from sparring.data.sources.npz import has_npz, read_digits, read_npz
from sparring.data.sources.parquet import has_parquet, read_hub, read_parquet

_READERS: tuple[tuple[Callable[[Path], bool], Callable[[Path, Faults], RawDataset]], ...] = (
    (has_npz, read_npz),
    (has_celeba, read_celeba),
    (has_lmdb, read_lsun),
    (has_imagenet, read_imagenet),
    (has_parquet, read_parquet),
    (has_idx, read_idx),
    (has_images, read_folder),
)
"""Whether a reader applies to a path, and the reader."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_FILES = (".npz", ".parquet", ".gz", ".zip", ".png", ".jpg")
_PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib")
_PICKLED = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
"""The first bytes of a pickle; CIFAR's `data_batch_1` and `train` have no suffix."""
_ARCHIVES = (".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".zip", ".7z", ".rar")
_REMEDY = (
    "give a folder of CelebA, LSUN or ImageNet as distributed, or of Parquet, IDX, .npz or image files, "
    "a .parquet or .npz file, a hub id, or `digits`"
)


def open_source(source: str, faults: Faults) -> RawDataset:
    """Open a source.

    Args:
        source: a path, a hub id or `digits`.
        faults: what is found wrong on the way is added.

    Raises:
        UsageError: nothing is there, or nothing that can be read.
        CorruptInput: it is a pickle.
    """
    path = Path(source)
    if path.exists():
        for applies, read in _READERS:
            if applies(path):
                return read(path, faults)
        raise _refusal(path)
    if source == "digits":
        return read_digits(faults)
    if _HUB_ID.fullmatch(source) and not source.endswith(_FILES):
        return read_hub(source, faults)
    raise UsageError(f"{source}: no such file or folder", _REMEDY)


def source_name(source: str) -> str:
    """What a source is called wherever it lies: the name of its file or folder, or its hub id."""
    path = Path(source)
    return path.resolve().name if path.exists() else source


def _refusal(path: Path) -> SparringError:
    """Why a file or folder is not read; pickles can run any program, and archives are not unpacked."""
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.is_file())
    for file in files:
        if file.suffix in _PICKLES or (not file.suffix and _starts_with(file, _PICKLED)):
            return CorruptInput(
                f"{file}: a pickle, which can run any program when it is read; pickles are never read",
                "give the data as Parquet or images; CIFAR's are on the hub as uoft-cs/cifar10 and uoft-cs/cifar100",
            )
    for file in files:
        if file.suffix in _ARCHIVES:
            return UsageError(f"{file}: an archive", "unpack it into a folder of its own, and give that folder")
    return UsageError(f"{path}: no images that can be read", _REMEDY)


def _starts_with(file: Path, starts: tuple[bytes, ...]) -> bool:
    with file.open("rb") as opened:
        return opened.read(2) in starts


__all__ = ["Pixels", "RawDataset", "RawSample", "RawSplit", "UnreadableImage", "open_source", "source_name"]
