"""What is well known and never read: pickles, which run whatever they say, and archives, which are not unpacked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sparring.core.errors import CorruptInput, SparringError, UsageError
from sparring.data.opening import opened

_PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib")
_PROTOCOLS = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))
"""What a pickle begins with; CIFAR's `data_batch_1` and `train` have no suffix."""

_ARCHIVES = (".tar", ".tgz", ".gz", ".tbz2", ".bz2", ".txz", ".xz", ".zst", ".zip", ".7z", ".rar")


def refusal(path: Path) -> SparringError | None:
    """Why a file, or a folder for what lies directly in it, is not read; None if nothing in it is known."""
    found = list(_candidates(path))
    for file in found:
        if _is_pickle(file):
            return CorruptInput(
                f"{file}: a pickle, which can run any program when it is read; pickles are never read",
                "give the data as Parquet or images; CIFAR's are on the hub as uoft-cs/cifar10 and uoft-cs/cifar100",
            )
    for file in found:
        if file.suffix.lower() in _ARCHIVES:
            return UsageError(
                f"{file}: an archive; archives are not unpacked",
                "unpack it into a folder of its own, look at what came out, and give that folder",
            )
    return None


def _candidates(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from sorted(file for file in path.iterdir() if file.is_file() and not file.is_symlink())


def _is_pickle(file: Path) -> bool:
    if file.suffix:
        return file.suffix.lower() in _PICKLES
    with opened(file) as stream:
        return stream.read(2) in _PROTOCOLS
