"""Parquet files: hostile schemas, bombs in every encoding, and labels and images that are none."""

from __future__ import annotations

import json
import os
import pickle
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_layouts import write_parquet
from torture.payloads.case import READ, REFUSED, Case, Payload, Plot, cut, damaged, encoded, picture, pngs

Make = Callable[[Plot], Path]


def _written(plot: Plot, table: pa.Table, **options: Any) -> Path:
    plot.folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, plot.folder / "train.parquet", **options)
    return plot.folder / "train.parquet"


def _images(plot: Plot, count: int = 6) -> list[dict[str, Any]]:
    return [{"bytes": content, "path": None} for content in pngs(plot.draw, count)]


def _with_schema(plot: Plot, features: Any) -> Path:
    table = pa.table({"image": _images(plot), "label": [0, 1, 0, 1, 0, 1]})
    metadata = {"huggingface": features if isinstance(features, str | bytes) else json.dumps(features)}
    return _written(plot, table.replace_schema_metadata(metadata))


def _class_label(plot: Plot, names: Any, **more: Any) -> Path:
    return _with_schema(plot, {"info": {"features": {"label": {"_type": "ClassLabel", "names": names} | more}}})


def _classes(plot: Plot) -> Path:
    names = plot.draw.choice(
        (
            [f"class {index}" for index in range(plot.draw.randrange(70_000, 10**6))],
            ["cat", "\x1b[2J\x1b[31mdog"],
            ["cat", "dog\n  train[0]: all is well"],
            ["cat", "\u202egod"],
            ["cat", "cat"],
            ["cat", "x" * 5000],
            ["cat", "\ud800"],
            ["cat"],
        )
    )
    return _class_label(plot, names)


def _schema(plot: Plot) -> Path:
    """Schemas that name what is to be made of them; nothing is, so that the numbers stay labels."""
    kinds = ("Path", "DatasetInfo", "Pdf", "Audio", "os.system", "TaskTemplate", "Sequence", "List", "builtins.eval")
    features = plot.draw.choice(
        (
            {"info": {"features": {"label": {"_type": plot.draw.choice(kinds), "feature": plot.shell}}}},
            {"info": {"features": {"image": {"_type": plot.draw.choice(kinds), "names": [plot.shell]}}}},
            {"info": []},
            {"info": {"features": {"label": {"_type": "ClassLabel", "names": "cat"}}}},
            {"info": {"features": {"label": {"_type": "ClassLabel", "names": [1, None]}}}},
            [1, 2],
            b"\xff\xfe not text",
            "[" * 50_000,
            '{"info": {"features": ' * 2_000,
            "NaN",
        )
    )
    return _with_schema(plot, features)


def _extension(plot: Plot) -> Path:
    """An Arrow type that old readers unpickle from the schema."""
    payload = pickle.dumps(Payload(plot.shell))
    name = plot.draw.choice((b"arrow.py_extension_type", b"arrow.unknown"))
    fields = {b"ARROW:extension:name": name, b"ARROW:extension:metadata": payload}
    schema = pa.schema([pa.field("image", pa.binary(), metadata=fields)])
    return _written(plot, pa.table({"image": pngs(plot.draw)}, schema=schema))


def _bad_labels(plot: Plot) -> Path:
    labels = plot.draw.choice(
        (
            [0, 1, -1, 0, 1, 0],
            [0, 1, None, 0, 1, 0],
            [0, 1, 2**63 - 1, 0, 1, 0],
            [0, 10**6, 2 * 10**6, 3 * 10**6, 4 * 10**6, 5 * 10**6],
            [2**16, 1, 0, 0, 1, 0],
            [0.0, 1.0, float("nan"), 0.5, 1.0, 2.0],
            ["a", "b", "\x1b[31m", "d", "e", "f"],
            [[0], [1], [0], [1], [0], [1]],
            [b"a"] * 6,
            pa.array([0, 2**64 - 1, 0, 0, 0, 0], pa.uint64()),
        )
    )
    return _written(plot, pa.table({"image": _images(plot), "label": labels}))


def _no_images(plot: Plot) -> Path:
    secret = str(plot.secret / "private.png")
    path = plot.draw.choice(
        (secret, f"file://{secret}", "/etc/passwd", "../../secret/private.png", "http://localhost:9")
    )
    column = plot.draw.choice(
        (
            [{"bytes": None, "path": path}] * 6,
            [{"path": path}] * 6,
            [path] * 6,
            [[content] for content in pngs(plot.draw)],
            [{"inner": image} for image in _images(plot)],
            [list(content) for content in pngs(plot.draw)],
            [{"bytes": "text"}] * 6,
            [None] * 6,
        )
    )
    return _written(plot, pa.table({"image": column, "label": [0, 1] * 3}))


def _columns(plot: Plot) -> Path:
    many = {f"\x1b[{index}m\n" * 20: [0] * 6 for index in range(plot.draw.randrange(10, 300))}
    table = plot.draw.choice(
        (
            lambda: pa.table({"text": ["a"] * 6}),
            lambda: pa.table(many),
            lambda: pa.table([_images(plot)] * 2, names=["image", "image"]),
            lambda: pa.table({"a": _images(plot), "b": _images(plot)}),
        )
    )
    return _written(plot, table())


def _dictionary_bomb(plot: Plot) -> Path:
    """One value of some megabytes, named by every row."""
    value = encoded(picture(plot.draw)) + bytes(plot.draw.randrange(8, 40) << 20)
    count = plot.draw.randrange(2_000, 9_000)
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array([value]))
    filler = [plot.draw.randbytes(16) for _ in range(count)]
    return _written(plot, pa.table({"image": column, "text": filler}), compression="zstd", store_schema=False)


def _prefix_bomb(plot: Plot) -> Path:
    """Values that say of each how much it shares with the one before."""
    value = encoded(picture(plot.draw)) + bytes(plot.draw.randrange(4, 9) << 20)
    table = pa.table({"image": [value] * 20})
    return _written(
        plot, table, compression="zstd", use_dictionary=False, column_encoding={"image": "DELTA_BYTE_ARRAY"}
    )


def _page_bomb(plot: Plot) -> Path:
    table = pa.table({"image": [bytes(plot.draw.randrange(80, 200) << 20)]})
    return _written(plot, table, compression="zstd", use_dictionary=False, write_statistics=False)


def _row_bomb(plot: Plot) -> Path:
    """Millions of rows in a few kilobytes."""
    count = plot.draw.randrange(2, 5) * 10**6
    images = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array(pngs(plot.draw, 1)))
    return _written(plot, pa.table({"image": images}), compression="zstd")


def _footer(plot: Plot) -> Path:
    path = write_parquet(plot.folder / "train.parquet", pngs(plot.draw), [0, 1] * 3)
    content = path.read_bytes()
    length = plot.draw.choice((0, 1, 2**31, 2**32 - 1, 9 << 20, len(content), len(content) - 11))
    path.write_bytes(content[:-8] + length.to_bytes(4, "little") + plot.draw.choice((b"PAR1", b"PARE", b"\0\0\0\0")))
    return path


def _changed(plot: Plot) -> Path:
    path = write_parquet(plot.folder / "train.parquet", pngs(plot.draw, 30), [0, 1] * 15)
    path.write_bytes(damaged(path.read_bytes(), plot.draw, 6))
    return path


def _cut(plot: Plot) -> Path:
    path = write_parquet(plot.folder / "train.parquet", pngs(plot.draw, 30), [0, 1] * 15)
    path.write_bytes(cut(path.read_bytes(), plot.draw))
    return path


def _no_files(plot: Plot) -> Path:
    """Names of tables that are pipes, sockets, devices or links out of the folder."""
    write_parquet(plot.folder / "train.parquet", pngs(plot.draw), None)
    path = plot.folder / "test.parquet"
    kind = plot.draw.randrange(4)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        with socket.socket(socket.AF_UNIX) as bound:
            here = os.getcwd()
            os.chdir(plot.folder)
            bound.bind(path.name)
            os.chdir(here)
    else:
        path.symlink_to(plot.draw.choice(("/dev/zero", "/dev/random", plot.secret / "private.png", "nowhere")))
    return plot.folder


def _unusual(plot: Plot) -> Path:
    images = pngs(plot.draw, 30)
    options: dict[str, Any] = {
        "compression": plot.draw.choice(("none", "snappy", "gzip", "zstd", "brotli", "lz4")),
        "row_group_size": plot.draw.choice((1, 4, 100)),
        "use_dictionary": plot.draw.random() < 0.5,
        "data_page_version": plot.draw.choice(("1.0", "2.0")),
        "data_page_size": plot.draw.choice((100, 10**6)),
        "write_statistics": plot.draw.random() < 0.5,
    }
    column = plot.draw.choice(
        (
            pa.array(images),
            pa.array(images, pa.large_binary()),
            pa.array([{"bytes": each, "path": "x/y.png"} for each in images]),
            pa.array([{"path": None, "bytes": each} for each in images]),
        )
    )
    label = pa.array([0, 1] * 15, plot.draw.choice((pa.int8(), pa.int64(), pa.uint16())))
    return _written(plot, pa.table({"image.of": column, "label": label, "text": ["a"] * 30}), **options)


def _case(name: str, make: Make, says: str, codes: tuple[int, ...] = (REFUSED,)) -> Case:
    return Case(f"Parquet: {name}", make, codes, says)


CASES = (
    _case("names of classes", _classes, "class|label"),
    _case("a schema of strange types", _schema, "", (READ,)),
    _case("a type that is a pickle", _extension, "", (READ, REFUSED)),
    _case("labels that are none", _bad_labels, "label"),
    _case("images that are paths", _no_images, "no image|no single column of images"),
    _case("columns of all names", _columns, "no single column of images|two columns"),
    _case("a bomb of one value", _dictionary_bomb, "bytes of images, which no file of this size holds"),
    _case("a bomb of prefixes", _prefix_bomb, "", (READ, REFUSED)),
    _case("a bomb in a page", _page_bomb, "would unpack"),
    _case("a bomb of rows", _row_bomb, "rows in"),
    _case("a footer that lies", _footer, "damaged or cut short"),
    _case("cut short", _cut, "damaged or cut short"),
    _case("with bytes changed", _changed, "", (READ, REFUSED)),
    _case("pipes, sockets and links", _no_files, "test.parquet: "),
    _case("unusual, but sound", _unusual, "", (READ,)),
)
