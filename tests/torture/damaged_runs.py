"""Damage to a run folder that a report must stand: wrong types and values, other files, and no files at all."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

Place = tuple[str | int, ...]
WRONG: list[Any] = [
    None,
    True,
    False,
    0,
    1,
    -1,
    3,
    10**30,
    -(10**30),
    10**90,
    2**31,
    2**63,
    1e308,
    -1e308,
    1e-320,
    0.5,
    -0.0,
    "",
    "1",
    "1.5",
    "nan",
    "text",
    "\ud800",
    "x" * 100_000,
    [],
    {},
    [[]],
    [None],
    [1, 2, 3],
    [[1, 2], [3, 4]],
    [0.5],
    {"a": 1},
    {"name": "x"},
    {"value": 1, "interval": [0, 1], "protocol": "p"},
    [{"a": [{}]}],
    list(range(2_000)),
]
RAW = [
    b"",
    b"\n",
    b"{",
    b"[]",
    b"null",
    b"3",
    b'"text"',
    b"{}",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"\xff\xfe\x00",
    b"\0" * 100,
    b'{"step": 1, "step": 2}',
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b'{"a": 1e999}',
    b'{"a": ' + b"9" * 10_000 + b"}",
    b"\x80\x04\x95\x00.",
    b"<html><script>1</script></html>",
    b"steps: 3\n",
    b'\xef\xbb\xbf{"a": 1}',
    b"a: &a [*a]\n",
]
JSON = ("environment.json", "summary.json", "robustness.json")


def damage(run: Path, draw: random.Random) -> None:
    """Damage one thing in a run folder."""
    draw.choice([_value, _value, _value, _text, _file, _arrays, _arrays, _picture])(run, draw)


def _value(run: Path, draw: random.Random) -> None:
    """Another value, key or type somewhere in a file of plain values."""
    path = draw.choice([run / name for name in (*JSON, "metrics.jsonl", "recipe.yaml") if (run / name).is_file()])
    with contextlib.suppress(ValueError, RecursionError, yaml.YAMLError, UnicodeError):  # it is damaged already
        if path.suffix == ".jsonl":
            lines = path.read_text().splitlines()
            at = draw.randrange(len(lines)) if lines else 0
            lines[at : at + 1] = [json.dumps(_spoilt(json.loads(lines[at]), draw))] if lines else ['{"step": 1}']
            path.write_text("\n".join(lines) + "\n")
        elif path.suffix == ".yaml":
            path.write_text(yaml.safe_dump(_spoilt(yaml.safe_load(path.read_text()), draw)))
        else:
            path.write_text(json.dumps(_spoilt(json.loads(path.read_text()), draw)))


def _spoilt(values: Any, draw: random.Random) -> Any:
    places = list(_places(values))
    place = draw.choice(places) if places else ()
    if not place:
        return draw.choice(WRONG)
    holder = values
    for key in place[:-1]:
        holder = holder[key]
    match draw.randrange(5):
        case 0:
            del holder[place[-1]]
        case 1 if isinstance(holder, dict):
            holder[draw.choice(["", "step", "name", "x" * 1_000, "modes", "success", "\ud800", "a.b"])] = draw.choice(
                WRONG
            )
        case 2 if isinstance(holder, list):
            holder += [draw.choice(WRONG)] * draw.choice([1, 50])
        case _:
            holder[place[-1]] = draw.choice(WRONG)
    return values


def _places(values: Any, place: Place = ()) -> Iterator[Place]:
    yield place
    inside = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in inside:
        yield from _places(value, (*place, key))


def _text(run: Path, draw: random.Random) -> None:
    """A file of plain values that holds something else, or is cut, or of which bytes changed."""
    path = draw.choice([run / name for name in (*JSON, "metrics.jsonl", "recipe.yaml") if (run / name).is_file()])
    content = path.read_bytes()
    at = draw.randrange(len(content) + 1)
    path.write_bytes(
        draw.choice([draw.choice(RAW), content[:at], content[:at] + draw.randbytes(3) + content[at + 3 :]])
    )


def _file(run: Path, draw: random.Random) -> None:
    """Something else than a file, or nothing, in a file's place; or something in the place of a folder."""
    path = draw.choice([path for path in sorted(run.rglob("*")) if path.name != "recipe.yaml"])
    _remove(path)
    makes: list[Callable[[], object]] = [
        lambda: None,
        lambda: path.mkdir(),
        lambda: os.mkfifo(path),
        lambda: path.symlink_to("/dev/zero"),
        lambda: path.symlink_to("/etc/hostname"),
        lambda: path.symlink_to(path.parent),
        lambda: path.symlink_to(path),
        lambda: path.write_bytes(b"text"),
        lambda: _large(path),
    ]
    draw.choice(makes)()


def _large(path: Path) -> None:
    path.touch()
    os.truncate(path, 2 << 30)


def _arrays(run: Path, draw: random.Random) -> None:
    """Other arrays: of other types, shapes and values, too many, too large, or none."""
    files = [path for path in sorted(run.rglob("*.npz")) if path.is_file()]
    if not files:
        return
    path = draw.choice(files)
    try:
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return
    sound = sorted(name for name, array in arrays.items() if array.size and array.dtype.kind in "biuf")
    if not sound:  # it is damaged already
        return
    name = draw.choice(sound)
    old = arrays[name]
    others: list[Any] = [
        None,
        old.astype(np.float64),
        old.astype(np.int32),
        old.astype(str),
        old.astype(object),
        old[..., None],
        old[None],
        old.ravel()[:1],
        old.ravel()[0],
        np.atleast_1d(old)[:0],
        np.zeros((0,) * old.ndim, old.dtype),
        np.repeat(old[..., None], 3, -1),
        np.full(old.shape, np.nan),
        np.full(old.shape, np.inf),
        np.full(old.shape, -1e300),
        np.full(old.shape, 1e-300),
        np.zeros(old.shape, old.dtype),
        np.ones(old.shape, old.dtype),
        np.ones((1,) * old.ndim, old.dtype),
        np.zeros(old.shape, np.complex64),
        np.zeros(old.shape, "datetime64[s]"),
        np.zeros(old.shape, [("a", "i4")]),
        np.zeros((*old.shape[:-1], 5_000), old.dtype),
        np.atleast_1d(old)[::-1],
    ]
    chosen = draw.choice(others)
    arrays.pop(name) if chosen is None else arrays.update({name: chosen})
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    content = out.getvalue()
    at = draw.randrange(len(content))
    path.write_bytes(draw.choice([content] * 4 + [content[:at], _bomb(), _tall(), b"PK\x05\x06" + b"\0" * 18]))


@cache
def _bomb() -> bytes:
    """100 kilobytes that become 100 megabytes."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("real.npy", "w") as file,
    ):
        for _ in range(25):
            file.write(bytes(4 << 20))
    return out.getvalue()


def _tall() -> bytes:
    """An array of a few bytes that says it is of terabytes."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000, 1000000), }\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("real.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    return out.getvalue()


def _picture(run: Path, draw: random.Random) -> None:
    """Something else than a PNG, or than these pictures, under the name of one."""
    files = [path for path in sorted((run / "samples").glob("*")) if path.is_file()]
    if not files:
        return
    path = draw.choice(files)
    _remove(path)
    path.with_suffix(".png").write_bytes(draw.choice(list(_pictures().values())))


def _pictures() -> dict[str, bytes]:
    grey = Image.new("L", (64, 64), 7)
    return {
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>document.title='owned'</script></svg>",
        "html": b"\x89PNG\r\n\x1a\n<html><script>document.title='owned'</script></html>",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\nshowpage\n",
        "gif": _encoded(grey, "GIF"),
        "tiff": _encoded(grey, "TIFF"),
        "one pixel": _encoded(Image.new("L", (1, 1)), "PNG"),
        "one row": _encoded(Image.new("L", (8_000, 1)), "PNG"),
        "palette": _encoded(grey.convert("P"), "PNG"),
        "two levels": _encoded(grey.convert("1"), "PNG"),
        "16 bits": _encoded(Image.fromarray(np.zeros((64, 64), np.uint16)), "PNG"),
        "transparent": _encoded(grey.convert("RGBA"), "PNG"),
        "cut": _encoded(grey, "PNG")[:60],
        "empty": b"",
        "bomb": _png(60_000, 60_000),
        "wide": _png(2**31 - 1, 1),
        "nothing": _png(0, 0),
    }


def _encoded(image: Image.Image, kind: str) -> bytes:
    out = io.BytesIO()
    image.save(out, format=kind)
    return out.getvalue()


def _png(width: int, height: int) -> bytes:
    """A PNG that says how large it is, with next to nothing in it."""
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0),
        b"IDAT": zlib.compress(b"\0" * 10),
        b"IEND": b"",
    }
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts.items()
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
