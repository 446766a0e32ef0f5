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
from functools import partial
from pathlib import Path

from sparring.core.errors import CorruptInput
from sparring.data.faults import Faults, first_line
from sparring.data.sources.base import SPLITS, Example, Pixels, Raw, Split, Unreadable, unreadable
from sparring.data.sources.images import coloured
from sparring.data.sources.lmdb import Damaged, Database, Value
from sparring.data.sources.tree import Tree

_FILE = "data.mdb"
_NAME = re.compile(r"(?P<category>.+?)(_(?P<split>train|val))?(_lmdb)?", re.DOTALL)
_UNLABELLED = "test_lmdb"


def has_lmdb(path: Path) -> bool:
    """Whether this is an LMDB folder, or a folder with some."""
    return bool(_databases(path, Faults()))


def read_lsun(path: Path, faults: Faults) -> Raw:
    """Open an LMDB folder or a folder of them."""
    found: dict[str, dict[str, Path]] = {}
    for database in _databases(path, faults):
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


def _databases(path: Path, faults: Faults) -> list[Path]:
    if (path / _FILE).is_file():
        return [path]
    if not path.is_dir():
        return []
    tree = Tree(path, faults)
    inside = [name for name in tree.folders() if name != _UNLABELLED]
    return [path / name for name in inside if (path / name / _FILE).is_file()]


def _entries(database: Path, faults: Faults) -> int | None:
    """How many images a database holds, or None if it is damaged."""
    try:
        with Database(database / _FILE) as opened:
            return opened.entries
    except (Damaged, CorruptInput, OSError) as error:
        where = f"{database.resolve().name}/{_FILE}"
        faults.add("unreadable files", f"{where}: damaged, or not an LMDB file ({first_line(error)})")
        return None


def _examples(labels: Mapping[Path, int | None]) -> Iterator[Example]:
    for database, label in labels.items():
        where = database.resolve().name
        try:
            with Database(database / _FILE) as opened:
                for key, value in opened.items():
                    name = f"{where}[{key.decode(errors='backslashreplace')}]"
                    yield Example(name, partial(_decoded, value), label)
        except (Damaged, CorruptInput, OSError) as error:
            yield unreadable(where, f"unreadable from here on ({first_line(error)})", label)


def _decoded(value: Value) -> Pixels:
    try:
        content = value()
    except (Damaged, CorruptInput, OSError) as error:
        raise Unreadable(first_line(error)) from None
    return coloured(content)
