"""Parquet files in the layout of the Hugging Face hub, and data sets on the hub itself, through `datasets`.

A table has a column of encoded images, `{bytes, path}` or bytes, and at most one of labels; class names stand
in the schema. Numbers that identify a person or an image are no labels, those that identify a class are. Only bytes in
the table are decoded: a path in it is never followed. A split in which every label is -1, the hub's sign for labels
that are not published, is left out.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sparring.data.faults import Faults, first_line
from sparring.data.sources.base import SPLITS, Example, Raw, Split, split_in, unreadable, visible
from sparring.data.sources.extras import library
from sparring.data.sources.images import decoded
from sparring.errors import UsageError

_IMAGES = ("image", "img", "images", "jpg", "png")
_LABELS = ("label", "labels", "fine_label", "cls", "class")
_IDENTIFIER = re.compile(r"(.*_)?(?<!class_)(?<!label_)(?<!category_)(id|idx|index)", re.IGNORECASE)
_UNPUBLISHED = -1
_ROWS = 256
_EXTRA = "data"

Batches = Callable[[list[str]], Iterable[Any]]
"""From column names to Arrow batches or tables of some rows each."""


class Columns(NamedTuple):
    """Where a table keeps its images and labels, and the class names."""

    image: str
    label: str | None
    classes: tuple[str, ...]


def has_parquet(path: Path) -> bool:
    """Whether this is a Parquet file, or a folder with some."""
    return bool(_parquet_files(path))


def read_parquet(path: Path, faults: Faults) -> Raw:
    """Open a Parquet file or a folder of them; the split is read off each file's name."""
    datasets = library("datasets", extra=_EXTRA)
    files = _parquet_files(path)
    named = {file: split_in(str(file.relative_to(path)) if path.is_dir() else file.name) for file in files}
    if not any(named.values()):
        named = dict.fromkeys(files, "train")
    found: dict[Path, Columns] = {}
    counts: dict[Path, int] = {}
    for file, name in named.items():
        opened = _opened(file, faults)
        if not name:
            faults.add("files without a split", f"{file.name}: train or test does not appear in its name")
        elif opened is not None:
            with opened:
                columns = _columns(file.name, datasets.Features.from_arrow_schema(opened.schema_arrow), faults)
                counts[file] = opened.metadata.num_rows
            if columns is not None and _published(name, columns, partial(_file_batches, file)):
                found[file] = columns
    splits = {
        name: Split(
            sum(counts[file] for file in found if named[file] == name),
            partial(_examples_of_files, name, {file: found[file] for file in found if named[file] == name}),
        )
        for name in sorted({named[file] for file in found})
    }
    return _raw("Parquet", {file.name: columns for file, columns in found.items()}, splits, faults)


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
        columns, batches = _columns(word, table.features, faults), partial(_hub_batches, table)
        if name in found:
            faults.add("doubtful splits", f"{word}: another split is the {name} split already")
        elif columns is not None and _published(name, columns, batches):
            found[name] = columns
            splits[name] = Split(len(table), partial(_examples, name, columns, batches))
    return _raw("Hugging Face hub", found, splits, faults)


def _parquet_files(path: Path) -> list[Path]:
    if path.is_dir():
        return visible((file for file in path.rglob("*.parquet") if file.is_file()), path)
    return [path] if path.suffix == ".parquet" and path.is_file() else []


def _opened(file: Path, faults: Faults) -> Any:
    parquet, arrow = library("pyarrow.parquet", extra=_EXTRA), library("pyarrow", extra=_EXTRA)
    try:
        return parquet.ParquetFile(file)
    except (arrow.ArrowException, OSError) as error:
        faults.add("unreadable files", f"{file.name}: damaged or cut short ({first_line(error)})")
        return None


def _raw(kind: str, found: Mapping[str, Columns], splits: Mapping[str, Split], faults: Faults) -> Raw:
    kinds = {(columns.label is not None, columns.classes) for columns in found.values()}
    if len(kinds) > 1:
        faults.add("unlike tables", f"the labels differ between {', '.join(found)}")
    labelled, classes = next(iter(kinds), (False, ()))
    return Raw(kind, labelled, splits, classes)


def _columns(where: str, features: Mapping[str, Any], faults: Faults) -> Columns | None:
    image = _chosen(features, _IMAGES, _is_image)
    classes = {name: feature for name, feature in features.items() if not _IDENTIFIER.fullmatch(name)}
    label = _chosen(classes, _LABELS, _is_label)
    if image is None:
        faults.add("missing columns", f"{where}: no single column of images among {', '.join(features)}")
        return None
    odd = [name for name in _LABELS if name in features and not _is_label(features[name])]
    if label is None and odd:
        faults.add("wrong types", f"{where}: the labels in {odd[0]!r} are neither classes nor whole numbers")
    names = getattr(features[label], "names", None) if label else None
    return Columns(image, label, tuple(names or ()))


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


def _chosen(features: Mapping[str, Any], names: tuple[str, ...], fits: Callable[[Any], bool]) -> str | None:
    fitting = [name for name, feature in features.items() if fits(feature)]
    usual = [name for name in names if name in fitting]
    return next(iter(usual), fitting[0] if len(fitting) == 1 else None)


def _is_image(feature: Any) -> bool:
    if isinstance(feature, dict):
        return "bytes" in feature
    return type(feature).__name__ == "Image" or getattr(feature, "dtype", "") in ("binary", "large_binary")


def _is_label(feature: Any) -> bool:
    return type(feature).__name__ == "ClassLabel" or getattr(feature, "dtype", "").startswith(("int", "uint"))


def _examples_of_files(split: str, files: Mapping[Path, Columns]) -> Iterator[Example]:
    for file, columns in files.items():
        where = split if len(files) == 1 else f"{split}: {file.name}"
        yield from _examples(where, columns, partial(_file_batches, file))


def _file_batches(file: Path, columns: list[str]) -> Iterator[Any]:
    with library("pyarrow.parquet", extra=_EXTRA).ParquetFile(file) as opened:
        yield from opened.iter_batches(_ROWS, columns=columns)


def _hub_batches(table: Any, columns: list[str]) -> Iterator[Any]:
    return iter(table.select_columns(columns).with_format("arrow").iter(_ROWS))


def _examples(where: str, columns: Columns, batches: Batches) -> Iterator[Example]:
    arrow = library("pyarrow", extra=_EXTRA)
    row = 0
    try:
        for batch in batches([columns.image, columns.label] if columns.label else [columns.image]):
            images = batch.column(columns.image).to_pylist()
            labels = batch.column(columns.label).to_pylist() if columns.label else [None] * len(images)
            for image, label in zip(images, labels, strict=True):
                yield _example(f"{where}[{row}]", image, label)
                row += 1
    except (arrow.ArrowException, OSError) as error:
        yield unreadable(f"{where}[{row}]", f"unreadable from here on ({first_line(error)})")


def _example(where: str, image: Any, label: int | None) -> Example:
    content = image.get("bytes") if isinstance(image, dict) else image
    if content is None:
        named = isinstance(image, dict) and image.get("path")
        return unreadable(where, f"only the path {named!r}, not the image" if named else "no image", label)
    return Example(where, partial(decoded, content), label)
