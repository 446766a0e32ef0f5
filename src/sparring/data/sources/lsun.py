"""LSUN as it is distributed: LMDB folders, `CATEGORY_train_lmdb` and `CATEGORY_val_lmdb`, of encoded images by key.

One such folder is a source, and so is a folder of several. Several categories are the classes; one is none. A name
without a split, as those of the objects, is training data. `test_lmdb` is left out: its categories are not published.
Images keep the order of the categories and, within one, of the keys.
Source: F. Yu, A. Seff, Y. Zhang, S. Song, T. Funkhouser, J. Xiao, LSUN: construction of a large-scale image dataset
using deep learning with humans in the loop (arXiv:1506.03365).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sparring.data.faults import Faults, first_line
from sparring.data.sources.base import SPLITS, RawDataset, RawSample, RawSplit, optional_library, unreadable
from sparring.data.sources.images import decoded

_FILE = "data.mdb"
_NAME = re.compile(r"(?P<category>.+?)(_(?P<split>train|val))?(_lmdb)?", re.DOTALL)
_UNLABELLED = "test_lmdb"


def has_lmdb(path: Path) -> bool:
    """Whether this is an LMDB folder, or a folder with some."""
    return bool(_databases(path))


def read_lsun(path: Path, faults: Faults) -> RawDataset:
    """Open an LMDB folder or a folder of them."""
    found: dict[str, dict[str, Path]] = {}
    for database in _databases(path):
        if database != path and not (database / _FILE).resolve().is_relative_to(path.resolve()):
            faults.add(f"{database.name}: a link out of the source; put the folder itself in its place")
            continue
        match = _NAME.fullmatch(database.resolve().name)
        assert match is not None  # it takes any name
        found.setdefault(SPLITS[match["split"] or "train"], {})[match["category"]] = database
    categories = sorted({category for databases in found.values() for category in databases})
    classes = tuple(categories) if len(categories) > 1 else ()
    splits = {}
    for split, databases in found.items():
        counts = {name: _count(databases[name], faults) for name in sorted(databases)}
        labels = {databases[name]: categories.index(name) if classes else None for name in counts if counts[name]}
        splits[split] = RawSplit(sum(counts.values()), partial(_samples, labels))
    return RawDataset("LSUN", bool(classes), splits, classes)


def _databases(path: Path) -> list[Path]:
    if (path / _FILE).is_file():
        return [path]
    return [file.parent for file in sorted(path.glob(f"*/{_FILE}")) if file.parent.name != _UNLABELLED]


@contextmanager
def _opened(database: Path) -> Iterator[Any]:
    """An LMDB environment, read-only and without a lock file.

    Raises:
        ValueError: the file is cut short; LMDB maps it and would be killed at the first missing page.
        lmdb.Error: it is damaged.
    """
    lmdb = optional_library("lmdb", extra="lsun")
    with lmdb.open(str(database), readonly=True, lock=False, readahead=False) as environment:
        needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
        size = (database / _FILE).stat().st_size
        if size < needed:
            raise ValueError(f"cut short, {size:,} of {needed:,} bytes")
        yield environment


def _count(database: Path, faults: Faults) -> int:
    """The number of images in a database, 0 for one that is at fault."""
    lmdb = optional_library("lmdb", extra="lsun")
    try:
        with _opened(database) as environment:
            return int(environment.stat()["entries"])
    except (lmdb.Error, OSError, ValueError) as error:
        why = first_line(error).removeprefix(f"{database}: ")
        faults.add(f"{database.resolve().name}/{_FILE}: damaged, or not an LMDB file ({why})")
        return 0


def _samples(labels: Mapping[Path, int | None]) -> Iterator[RawSample]:
    lmdb = optional_library("lmdb", extra="lsun")
    for database, label in labels.items():
        where = database.resolve().name
        try:
            with _opened(database) as environment, environment.begin() as transaction:
                for key, value in transaction.cursor():
                    name = f"{where}[{key.decode(errors='backslashreplace')}]"
                    yield RawSample(name, partial(decoded, value), label)
        except (lmdb.Error, OSError, ValueError) as error:
            yield unreadable(where, f"unreadable from here on ({first_line(error)})")
