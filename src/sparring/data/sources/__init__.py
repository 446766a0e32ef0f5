"""Which reader opens a source is found by looking at it: the first row of the table that applies."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sparring.core.errors import UsageError
from sparring.data.faults import Faults
from sparring.data.sources.base import Example, Pixels, Raw, Split, Unreadable
from sparring.data.sources.celeba import has_celeba, read_celeba
from sparring.data.sources.folders import has_images, read_folder
from sparring.data.sources.idx import has_idx, read_idx
from sparring.data.sources.imagenet import has_imagenet, read_imagenet
from sparring.data.sources.lsun import has_lmdb, read_lsun
from sparring.data.sources.npz import read_digits, read_npz
from sparring.data.sources.parquet import has_parquet, read_hub, read_parquet
from sparring.data.sources.refusals import refusal

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_FILES = (".npz", ".parquet", ".gz", ".zip", ".png", ".jpg")
_KNOWN = (
    "a folder of CelebA, LSUN or ImageNet as distributed, of Parquet files, of IDX files or of images, "
    "a .parquet or .npz file, a hub id, or `digits`"
)


@dataclass(frozen=True)
class Reader:
    """A kind of source.

    Args:
        applies: whether a source is of this kind.
        read: opens it; what it finds wrong goes into the faults.
    """

    applies: Callable[[str], bool]
    read: Callable[[str, Faults], Raw]


def _at(applies: Callable[[Path], bool], read: Callable[[Path, Faults], Raw]) -> Reader:
    return Reader(lambda source: applies(Path(source)), lambda source, faults: read(Path(source), faults))


def _names_hub(source: str) -> bool:
    return not Path(source).exists() and bool(_HUB_ID.fullmatch(source)) and not source.endswith(_FILES)


READERS: tuple[Reader, ...] = (
    _at(lambda path: path.is_file() and path.suffix == ".npz", read_npz),
    _at(has_celeba, read_celeba),
    _at(has_lmdb, read_lsun),
    _at(has_imagenet, read_imagenet),
    _at(has_parquet, read_parquet),
    _at(has_idx, read_idx),
    _at(has_images, read_folder),
    Reader(lambda source: source == "digits", lambda _source, faults: read_digits(faults)),
    Reader(_names_hub, read_hub),
)


def open_source(source: str, faults: Faults) -> Raw:
    """Open a source.

    Args:
        source: a path, a hub id or `digits`.
        faults: what is found wrong on the way is added.

    Raises:
        UsageError: nothing is there, or nothing that can be read.
        CorruptInput: it is a pickle.
    """
    for reader in READERS:
        if reader.applies(source):
            return reader.read(source, faults)
    refused = refusal(Path(source))
    if refused is not None:
        raise refused
    if Path(source).exists():
        raise UsageError(f"{source}: nothing here that can be read as images", f"give {_KNOWN}")
    raise UsageError(f"{source}: no such file or folder", f"give {_KNOWN}")


def source_name(source: str) -> str:
    """What a source is called wherever it lies: the name of its file or folder, or its hub id."""
    path = Path(source)
    return path.resolve().name if path.exists() else source


__all__ = ["READERS", "Example", "Pixels", "Raw", "Reader", "Split", "Unreadable", "open_source", "source_name"]
