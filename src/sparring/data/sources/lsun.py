"""LSUN as it is distributed: LMDB folders, `CATEGORY_train_lmdb` and `CATEGORY_val_lmdb`, of encoded images by key.

One such folder is a source, and so is a folder of several. Several categories are the classes; one is none. A name
without a split, as those of the objects, is training data. `test_lmdb` is left out: its categories are not published.
Images keep the order of the categories and, within one, of the keys. The databases are opened for reading and without
a lock file, so nothing is written beside them.
Source: F. Yu, A. Seff, Y. Zhang, S. Song, T. Funkhouser, J. Xiao, LSUN: construction of a large-scale image dataset
using deep learning with humans in the loop (arXiv:1506.03365).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sparring.data.faults import Faults, first_line
from sparring.data.sources.base import SPLITS, Example, Raw, Split, unreadable, visible
from sparring.data.sources.extras import library
from sparring.data.sources.images import coloured

_FILE = "data.mdb"
_NAME = re.compile(r"(?P<category>.+?)(_(?P<split>train|val))?(_lmdb)?")
_UNLABELLED = "test_lmdb"


def has_lmdb(path: Path) -> bool:
    """Whether this is an LMDB folder, or a folder with some."""
    return bool(_databases(path))


def read_lsun(path: Path, faults: Faults) -> Raw:
    """Open an LMDB folder or a folder of them."""
    found: dict[str, dict[str, Path]] = {}
    for database in _databases(path):
        match = _NAME.fullmatch(database.resolve().name)
        assert match is not None  # it takes any name
        first = found.setdefault(SPLITS[match["split"] or "train"], {}).setdefault(match["category"], database)
        if first != database:
            faults.add("doubtful folders", f"{database.name}: {first.name} holds the same category and split")
    categories = sorted({category for databases in found.values() for category in databases})
    classes = tuple(categories) if len(categories) > 1 else ()
    splits = {}
    for split, databases in found.items():
        counts = {name: _entries(database, faults) for name, database in sorted(databases.items())}
        sound = {name: count for name, count in counts.items() if count is not None}
        labels = {databases[name]: categories.index(name) if classes else None for name in sound}
        if sound:
            splits[split] = Split(sum(sound.values()), partial(_examples, labels))
    return Raw("LSUN", bool(classes), splits, classes)


def _databases(path: Path) -> list[Path]:
    if (path / _FILE).is_file():
        return [path]
    return visible((file.parent for file in path.glob(f"*/{_FILE}") if file.parent.name != _UNLABELLED), path)


def _opened(database: Path) -> Any:
    return library("lmdb", extra="lsun").open(str(database), readonly=True, lock=False)


def _entries(database: Path, faults: Faults) -> int | None:
    """How many images a database holds, or None if it is damaged."""
    lmdb = library("lmdb", extra="lsun")
    where = f"{database.resolve().name}/{_FILE}"
    try:
        with _opened(database) as environment:
            needed = (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]
            size = (database / _FILE).stat().st_size
            # The pages are mapped: to read one beyond the end of the file would kill the process.
            if size < needed:
                faults.add("unreadable files", f"{where}: cut short, {size:,} of {needed:,} bytes")
                return None
            return int(environment.stat()["entries"])
    except lmdb.Error as error:
        faults.add("unreadable files", f"{where}: damaged, or not an LMDB file ({first_line(error)})")
        return None


def _examples(labels: Mapping[Path, int | None]) -> Iterator[Example]:
    lmdb = library("lmdb", extra="lsun")
    for database, label in labels.items():
        where = database.resolve().name
        try:
            with _opened(database) as environment, environment.begin() as transaction:
                for key, value in transaction.cursor():
                    name = f"{where}[{key.decode(errors='backslashreplace')}]"
                    yield Example(name, partial(coloured, value), label)
        except lmdb.Error as error:
            yield unreadable(where, f"unreadable from here on ({first_line(error)})", label)
