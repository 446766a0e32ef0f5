"""Parquet files in the layout of the Hugging Face hub, and data sets on the hub itself, through `datasets`.

A table has a column of encoded images, `{bytes, path}` or bytes, and at most one of labels; class names stand
in the schema. Numbers that identify a person or an image are no labels, those that identify a class are. Only bytes in
the table are decoded: a path in it is never followed. A split in which every label is -1, the hub's sign for labels
that are not published, is left out. Nothing of a file is unpacked before it is known to be of bearable size.
"""

from __future__ import annotations

import errno
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sparring.core.errors import UsageError
from sparring.data.faults import Faults, first_line
from sparring.data.opening import opened
from sparring.data.sources.base import SPLITS, Example, Raw, Split, split_in, unreadable
from sparring.data.sources.extras import library
from sparring.data.sources.images import decoded
from sparring.data.sources.pages import pages
from sparring.data.sources.rows import BOMB, SMALL
from sparring.data.sources.tree import Tree

_IMAGES = ("image", "img", "images", "jpg", "png")
_LABELS = ("label", "labels", "fine_label", "cls", "class")
_IDENTIFIER = re.compile(r"(.*_)?(?<!class_)(?<!label_)(?<!category_)(id|idx|index)", re.IGNORECASE)
_UNPUBLISHED = -1
_BYTES = "bytes"
_ROWS = 256
_EXTRA = "data"
_SUFFIX = ".parquet"
_PART = re.compile(r"(?P<set>.*?)(?P<part>[0-9]{5})-of-(?P<all>[0-9]{5})(?![0-9])")
"""How the hub names the files of a split: train-00000-of-00002.parquet, with a hash behind that in older ones."""

_BUFFER = 2**20
_FOOTER = 2**23
_MARK = b"PAR1"
_PAGE, _INCOMPRESSIBLE = 2**26, 2**28
"""Bytes that a page may unpack to, and may if it is packed no more than twofold, as pages of images are."""
_TOGETHER = 2**25
"""Bytes of images that are unpacked at once, unless a single one takes more."""

Batches = Callable[[list[str]], Iterable[Any]]
"""From column names to Arrow batches or tables of some rows each."""


class Columns(NamedTuple):
    """Where a table keeps its images and labels, and the class names.

    Args:
        image: the column.
        leaf: where in it the bytes are.
        label: the column, or None.
        classes: their names, where the schema has them.
    """

    image: str
    leaf: str
    label: str | None
    classes: tuple[str, ...]


class Table(NamedTuple):
    """A file that was looked into.

    Args:
        columns: what is in it.
        rows: how many it has.
        together: how many are read at once.
        most: bytes that all its images may take.
    """

    columns: Columns
    rows: int
    together: int
    most: int


def has_parquet(path: Path) -> bool:
    """Whether this is a Parquet file, or a folder with some."""
    return bool(_parquet_files(path, Faults()))


def read_parquet(path: Path, faults: Faults) -> Raw:
    """Open a Parquet file or a folder of them; the split is read off each file's name."""
    names = _parquet_files(path, faults)
    if path.is_dir():
        _require_all_parts(names.values(), faults)
    named = {file: split_in(name) for file, name in names.items()}
    if not any(named.values()):
        named = dict.fromkeys(named, "train")
    found: dict[Path, Table] = {}
    for file, name in named.items():
        table = _table(file, faults)
        if not name:
            faults.add("files without a split", f"{file.name}: train or test does not appear in its name")
        elif table is not None and _published(name, table.columns, partial(_file_batches, file, table.together)):
            found[file] = table
    splits = {}
    for name in sorted({named[file] for file in found}):
        tables = {file: table for file, table in found.items() if named[file] == name}
        splits[name] = Split(sum(table.rows for table in tables.values()), partial(_examples_of_files, name, tables))
    return _raw("Parquet", {file.name: table.columns for file, table in found.items()}, splits, faults)


def read_hub(source: str, faults: Faults) -> Raw:
    """Load a data set from the Hugging Face hub, or from its cache."""
    hub, datasets = library("huggingface_hub", extra=_EXTRA), library("datasets", extra=_EXTRA)
    try:
        if not hub.constants.HF_HUB_OFFLINE:
            # One question first: without a network, `load_dataset` retries for half a minute.
            hub.HfApi().dataset_info(source, timeout=10)
        loaded = datasets.load_dataset(source)
    except Exception as error:  # the hub's client, the network and the builders raise unrelated types
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UsageError(
            f"{source}: no such file or folder, and not found on the Hugging Face hub ({first_line(error)})",
            "check the path, or the hub id and the network; HF_HUB_OFFLINE=1 reads what is in the cache",
        ) from None
    found, splits = {}, {}
    for word, table in loaded.items():
        name = SPLITS.get(word, word)
        columns, batches = _columns(word, table.features.arrow_schema, faults), partial(_hub_batches, table)
        if name in found:
            faults.add("doubtful splits", f"{word}: another split is the {name} split already")
        elif columns is not None:
            columns = columns._replace(leaf=columns.image)
            if _published(name, columns, batches):
                found[name] = columns
                splits[name] = Split(len(table), partial(_examples, name, columns, batches))
    return _raw("Hugging Face hub", found, splits, faults)


def _parquet_files(path: Path, faults: Faults) -> dict[Path, str]:
    """Every file, and its name as far as it may tell the split."""
    if path.is_dir():
        names = Tree(path, faults).files(lambda name: name.endswith(_SUFFIX))
        return {path / name: name for name in names}
    return {path: path.name} if path.suffix == _SUFFIX and path.is_file() else {}


def _require_all_parts(names: Iterable[str], faults: Faults) -> None:
    """Note what is missing of a set of files that say of themselves how many they are."""
    found: dict[tuple[str, int], set[int]] = {}
    for match in filter(None, map(_PART.match, names)):
        found.setdefault((match["set"], int(match["all"])), set()).add(int(match["part"]))
    for (name, count), parts in found.items():
        if len(parts) < count:
            told = f"{len(parts):,} of the {count:,} files that their names tell of"
            faults.add("missing files", f"{name}NNNNN-of-{count:05}: {told}")


def _table(file: Path, faults: Faults) -> Table | None:
    parquet = library("pyarrow.parquet", extra=_EXTRA)
    try:
        size = _size_of_sound_footer(file)
        with parquet.ParquetFile(file) as table:
            if table.metadata.num_rows > size:
                raise ValueError(f"{table.metadata.num_rows:,} rows in {size:,} bytes")
            columns = _columns(file.name, table.schema_arrow, faults)
            if columns is None:
                return None
            if columns.label is not None:
                _largest_page(file, table.metadata, columns.label)
            largest = _largest_page(file, table.metadata, columns.leaf)
            together = min(max(_TOGETHER // max(largest, 1), 1), _ROWS)
            return Table(columns, table.metadata.num_rows, together, max(SMALL, BOMB * size))
    except Exception as error:  # Arrow raises its own types and Python's on a damaged file
        faults.add("unreadable files", f"{file.name}: damaged or cut short ({first_line(error)})")
        return None


def _size_of_sound_footer(file: Path) -> int:
    """The size of a file whose footer does not take more than that of a real one."""
    with opened(file) as stream:
        size = stream.seek(0, 2)
        stream.seek(max(size - 8, 0))
        end = stream.read()
    footer = int.from_bytes(end[:4], "little")
    if end[4:] != _MARK or footer > min(size, _FOOTER):
        raise ValueError(f"a footer of {footer:,} bytes" if end[4:] == _MARK else "no footer")
    return size


def _largest_page(file: Path, metadata: Any, path: str) -> int:
    """What the largest page of a column unpacks to."""
    largest = 0
    with opened(file) as stream:
        for group in range(metadata.num_row_groups):
            row_group = metadata.row_group(group)
            for chunk in (row_group.column(index) for index in range(row_group.num_columns)):
                if chunk.path_in_schema != path:
                    continue
                start = chunk.data_page_offset
                if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < start:
                    start = chunk.dictionary_page_offset
                for page in pages(stream, start, start + chunk.total_compressed_size):
                    largest = max(largest, page.unpacked)
                    if page.unpacked > (_INCOMPRESSIBLE if page.unpacked <= 2 * page.packed else _PAGE):
                        raise ValueError(f"a page of {page.packed:,} bytes would unpack to {page.unpacked:,}")
    return largest


def _raw(kind: str, found: Mapping[str, Columns], splits: Mapping[str, Split], faults: Faults) -> Raw:
    kinds = {(columns.label is not None, columns.classes) for columns in found.values()}
    if len(kinds) > 1:
        faults.add("unlike tables", f"the labels differ between {', '.join(found)}")
    labelled, classes = next(iter(kinds), (False, ()))
    return Raw(kind, labelled, splits, classes)


def _columns(where: str, schema: Any, faults: Faults) -> Columns | None:
    types = library("pyarrow", extra=_EXTRA).types
    kinds = dict(zip(schema.names, schema.types, strict=True))
    if len(kinds) < len(schema.names):
        faults.add("doubtful columns", f"{where}: two columns have one name")
        return None
    image = _chosen({name: _leaf(name, kind, types) is not None for name, kind in kinds.items()}, _IMAGES)
    whole = {name: types.is_integer(kind) for name, kind in kinds.items()}
    label = _chosen({name: fits for name, fits in whole.items() if not _IDENTIFIER.fullmatch(name)}, _LABELS)
    if image is None:
        faults.add("missing columns", f"{where}: no single column of images among {', '.join(kinds)}")
        return None
    odd = [name for name in _LABELS if name in kinds and not whole[name]]
    if label is None and odd:
        faults.add("wrong types", f"{where}: the labels in {odd[0]!r} are neither classes nor whole numbers")
    leaf = _leaf(image, kinds[image], types)
    assert leaf is not None
    return Columns(image, leaf, label, _class_names(schema, label) if label else ())


def _chosen(fits: Mapping[str, bool], names: tuple[str, ...]) -> str | None:
    fitting = [name for name, fit in fits.items() if fit]
    usual = [name for name in names if name in fitting]
    return next(iter(usual), fitting[0] if len(fitting) == 1 else None)


def _leaf(name: str, kind: Any, types: Any) -> str | None:
    """Where the bytes of a column of images are, or None if it is none."""
    if types.is_struct(kind):
        index = kind.get_field_index(_BYTES)
        return f"{name}.{_BYTES}" if index >= 0 and _is_bytes(kind.field(index).type, types) else None
    return name if _is_bytes(kind, types) and not types.is_null(kind) else None


def _is_bytes(kind: Any, types: Any) -> bool:
    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_null(kind))


def _class_names(schema: Any, label: str) -> tuple[str, ...]:
    """What the schema's `ClassLabel` says; read as plain JSON, since `datasets` makes objects of what it names."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[label]["names"] if features[label]["_type"] == "ClassLabel" else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()


def _published(split: str, columns: Columns, batches: Batches) -> bool:
    """Whether the labels of a split are known; no more is read than up to the first that is."""
    label = columns.label
    if label is None or split == "train":
        return True
    found: set[Any] = set()
    try:
        for batch in batches([label]):
            found.update(batch.column(label).to_pylist())
            if found != {_UNPUBLISHED}:
                return True
    except (library("pyarrow", extra=_EXTRA).ArrowException, OSError):
        return True  # it is told when the examples are read
    return not found


def _examples_of_files(split: str, tables: Mapping[Path, Table]) -> Iterator[Example]:
    for file, table in tables.items():
        where = split if len(tables) == 1 else f"{split}: {file.name}"
        yield from _examples(where, table.columns, partial(_file_batches, file, table.together), table.most)


def _file_batches(file: Path, together: int, columns: list[str]) -> Iterator[Any]:
    # Buffered, so that a row group is not held whole.
    with library("pyarrow.parquet", extra=_EXTRA).ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False) as table:
        yield from table.iter_batches(together, columns=columns, use_threads=False)


def _hub_batches(table: Any, columns: list[str]) -> Iterator[Any]:
    return iter(table.select_columns(columns).with_format("arrow").iter(_ROWS))


def _examples(where: str, columns: Columns, batches: Batches, most: int = sys.maxsize) -> Iterator[Example]:
    arrow = library("pyarrow", extra=_EXTRA)
    row, size = 0, 0
    try:
        for batch in batches([columns.leaf, columns.label] if columns.label else [columns.leaf]):
            images = _bytes_in(batch.column(columns.image))
            labels = batch.column(columns.label).to_pylist() if columns.label else [None] * len(images)
            for index, label in enumerate(labels):
                content = images[index].as_py()
                size += len(content or b"")
                if size > most:
                    raise ValueError(f"more than {most:,} bytes of images, which no file of this size holds")
                yield _example(f"{where}[{row}]", content, label)
                row += 1
    except (arrow.ArrowException, OSError, ValueError) as error:
        yield unreadable(f"{where}[{row}]", f"unreadable from here on ({first_line(error)})")


def _bytes_in(images: Any) -> Any:
    compute = library("pyarrow.compute", extra=_EXTRA)
    if library("pyarrow", extra=_EXTRA).types.is_struct(images.type):
        return compute.struct_field(images, _BYTES)
    return images


def _example(where: str, content: bytes | None, label: int | None) -> Example:
    if content is None:
        return unreadable(where, "no image; a path, if there is one, is not followed", label)
    return Example(where, partial(decoded, content), label)
