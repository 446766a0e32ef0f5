"""Parquet files in the layout of the Hugging Face hub, and data sets on the hub itself, through `datasets`.

A table has a column of encoded images, `{bytes, path}` or bytes, and at most one of labels; the schema holds the class
names. Numbers that identify a person or an image are no labels, those that identify a class are. Only bytes in the
table are decoded: a path in it is never followed. A split in which every label is -1, the hub's sign for labels that
are not published, is left out.
"""

from __future__ import annotations

import errno
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as arrow
import pyarrow.parquet

from sparring.core.errors import UsageError
from sparring.data.faults import Faults, first_line
from sparring.data.sources.base import (
    SPLITS,
    RawDataset,
    RawSample,
    RawSplit,
    optional_library,
    split_in,
    unreadable,
)
from sparring.data.sources.image_folders import FolderTree
from sparring.data.sources.images import decoded

_IMAGES = ("image", "img", "images", "jpg", "png")
_LABELS = ("label", "labels", "fine_label", "cls", "class")
_IDENTIFIER = re.compile(r"(.*_)?(?<!class_)(?<!label_)(?<!category_)(id|idx|index)", re.IGNORECASE)
_UNPUBLISHED = -1
_ROWS = 256
_BUFFER = 2**20
_SUFFIX = ".parquet"
_PART = re.compile(r"(?P<set>.*?)(?P<part>[0-9]{5})-of-(?P<all>[0-9]{5})(?![0-9])")
"""How the hub names the files of a split: train-00000-of-00002.parquet, with a hash behind that in older ones."""


class _Table(NamedTuple):
    """A file, or a split on the hub.

    Args:
        where: its name in messages.
        image: the column of images.
        label: the column of labels, or None.
        classes: their names, where the schema has them.
        rows: how many.
        batches: reads some columns, some rows at a time.
    """

    where: str
    image: str
    label: str | None
    classes: tuple[str, ...]
    rows: int
    batches: Callable[[list[str]], Iterable[Any]]


def has_parquet(path: Path) -> bool:
    """Whether this is a Parquet file, or a folder with some."""
    return any(path.rglob(f"*{_SUFFIX}")) if path.is_dir() else path.suffix == _SUFFIX


def read_parquet(path: Path, faults: Faults) -> RawDataset:
    """Open a Parquet file or a folder of them; the split is read off each file's name."""
    files = {path.name: path}
    if path.is_dir():
        files = {name: path / name for name in FolderTree(path, faults).files(lambda name: name.endswith(_SUFFIX))}
        _require_all_parts(files, faults)
    named = any(map(split_in, files))
    splits: dict[str, list[_Table]] = {}
    for name, file in files.items():
        split = split_in(name) if named else "train"
        if not split:
            faults.add(f"{name}: train or test does not appear in its name")
            continue
        table = _file(name, file, faults)
        if table is not None and _published(split, table):
            splits.setdefault(split, []).append(table)
    return _dataset("Parquet", splits, faults)


def read_hub(source: str, faults: Faults) -> RawDataset:
    """Load a data set from the Hugging Face hub, or from its cache."""
    hub, datasets = optional_library("huggingface_hub", extra="data"), optional_library("datasets", extra="data")
    try:
        if not hub.constants.HF_HUB_OFFLINE:
            # One question first: without a network, `load_dataset` retries for half a minute.
            hub.HfApi().dataset_info(source, timeout=10)
        loaded = datasets.load_dataset(source)
    except Exception as error:  # the hub's client, the network and the builders raise unrelated types
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        raise UsageError(
            f"{source}: no such file or folder, and not found on the Hugging Face hub ({first_line(error)})",
            "check the path, or the hub id and the network; HF_HUB_OFFLINE=1 reads what is in the cache",
        ) from None
    splits: dict[str, list[_Table]] = {}
    for word, rows in loaded.items():
        split = SPLITS.get(word, word)
        table = _table(split, rows.features.arrow_schema, len(rows), partial(_hub_batches, rows), faults)
        if split in splits:
            faults.add(f"{word}: another split is the {split} split already")
        elif table is not None and _published(split, table):
            splits[split] = [table]
    return _dataset("Hugging Face hub", splits, faults)


def _require_all_parts(names: Iterable[str], faults: Faults) -> None:
    """Note what is missing of a set of files whose names say how many they are."""
    found: dict[tuple[str, int], set[int]] = {}
    for match in filter(None, map(_PART.match, names)):
        found.setdefault((match["set"], int(match["all"])), set()).add(int(match["part"]))
    for (name, count), parts in found.items():
        if len(parts) < count:
            faults.add(f"{name}NNNNN-of-{count:05}: only {len(parts):,} of {count:,} files are here")


def _file(name: str, file: Path, faults: Faults) -> _Table | None:
    try:
        with arrow.parquet.ParquetFile(file) as opened:
            return _table(name, opened.schema_arrow, opened.metadata.num_rows, partial(_file_batches, file), faults)
    except (arrow.ArrowException, OSError) as error:
        faults.add(f"{name}: damaged or cut short ({first_line(error)})")
        return None


def _file_batches(file: Path, columns: list[str]) -> Iterator[Any]:
    # Buffered, so that a row group is not held whole.
    with arrow.parquet.ParquetFile(file, buffer_size=_BUFFER, pre_buffer=False) as opened:
        yield from opened.iter_batches(_ROWS, columns=columns, use_threads=False)


def _hub_batches(rows: Any, columns: list[str]) -> Iterator[Any]:
    return iter(rows.select_columns(columns).with_format("arrow").iter(_ROWS))


def _dataset(kind: str, splits: Mapping[str, list[_Table]], faults: Faults) -> RawDataset:
    tables = [table for split in splits.values() for table in split]
    kinds = {(table.label is not None, table.classes) for table in tables}
    if len(kinds) > 1:
        faults.add(f"the labels differ between {', '.join(table.where for table in tables)}")
    labelled, classes = next(iter(kinds), (False, ()))
    raw = {
        name: RawSplit(sum(table.rows for table in split), partial(_samples, split)) for name, split in splits.items()
    }
    return RawDataset(kind, labelled, raw, classes)


def _samples(tables: Iterable[_Table]) -> Iterator[RawSample]:
    for table in tables:
        label, row = table.label, 0
        try:
            for batch in table.batches([table.image, label] if label else [table.image]):
                labels = batch.column(label).to_pylist() if label else [None] * len(batch)
                for content, number in zip(batch.column(table.image).to_pylist(), labels, strict=True):
                    yield _sample(f"{table.where}[{row}]", content, number)
                    row += 1
        except (arrow.ArrowException, OSError) as error:
            yield unreadable(f"{table.where}[{row}]", f"unreadable from here on ({first_line(error)})")


def _sample(where: str, content: Any, label: int | None) -> RawSample:
    """A row; the image is bytes or a mapping with bytes and a path."""
    if isinstance(content, dict):
        content = content["bytes"]
    if content is None:
        return unreadable(where, "no image; a path, if there is one, is not followed", label)
    return RawSample(where, partial(decoded, content), label)


def _table(
    where: str, schema: Any, rows: int, batches: Callable[[list[str]], Iterable[Any]], faults: Faults
) -> _Table | None:
    kinds = dict(zip(schema.names, schema.types, strict=True))
    image = _chosen([name for name, kind in kinds.items() if _holds_images(kind)], _IMAGES)
    whole = [name for name, kind in kinds.items() if arrow.types.is_integer(kind)]
    label = _chosen([name for name in whole if not _IDENTIFIER.fullmatch(name)], _LABELS)
    if image is None:
        faults.add(f"{where}: no single column of encoded images among {', '.join(kinds)}")
        return None
    for name in _LABELS:
        if label is None and name in kinds:
            faults.add(f"{where}: the labels in {name!r} are neither classes nor whole numbers")
    return _Table(where, image, label, _class_names(schema, label) if label else (), rows, batches)


def _chosen(fitting: list[str], names: tuple[str, ...]) -> str | None:
    """The column with the first of the usual names, or the only one that fits."""
    return next((name for name in names if name in fitting), fitting[0] if len(fitting) == 1 else None)


def _holds_images(kind: Any) -> bool:
    if arrow.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_images(kind.field("bytes").type)
    return bool(arrow.types.is_binary(kind) or arrow.types.is_large_binary(kind))


def _class_names(schema: Any, label: str) -> tuple[str, ...]:
    """The names of the schema's `ClassLabel`, which the hub keeps as JSON."""
    try:
        feature = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][label]
        return tuple(feature["names"]) if feature["_type"] == "ClassLabel" else ()
    except (ValueError, KeyError, TypeError):
        return ()


def _published(split: str, table: _Table) -> bool:
    """Whether the labels of a split are known; no more is read than up to the first that is."""
    label = table.label
    if label is None or split == "train" or not table.rows:
        return True
    try:
        return any(set(batch.column(label).to_pylist()) != {_UNPUBLISHED} for batch in table.batches([label]))
    except (arrow.ArrowException, OSError):
        return True  # reported when the samples are read
