"""Arrays in `.npz` and IDX files: pickles, lying headers, bombs, and archives that are not what they say."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np

from data_layouts import write_idx
from torture.payloads.case import READ, REFUSED, Case, Payload, Plot, Zeros, cut, damaged, picture

Members = Callable[[Plot], list[tuple[str, bytes]]]

_X = "x.npy"


def npy(array: np.ndarray, *, pickled: bool = False) -> bytes:
    """A `.npy` file."""
    stream = BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=pickled)
    return stream.getvalue()


def raw_npy(header: str | bytes, data: bytes = b"", *, version: int = 1, length: int | None = None) -> bytes:
    """A `.npy` file with any header."""
    text = header.encode() if isinstance(header, str) else header
    size = struct.pack("<H" if version == 1 else "<I", len(text) if length is None else length)
    return b"\x93NUMPY" + bytes((version, 0)) + size + text + data


def header(shape: str, descr: str = "'|u1'", fortran: bool = False) -> str:
    """What stands in a header."""
    return f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"


def _objects(plot: Plot) -> np.ndarray:
    return np.array([Payload(plot.shell)] * plot.draw.randint(1, 5), dtype=object)


def _zipped(plot: Plot, members: list[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, content in members:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return stream.getvalue()


def raw_zip(name: str, packed: bytes, size: int, crc: int, *, flags: int = 0, method: int = 8) -> bytes:
    """An archive of one member that says what it is told to."""
    label = name.encode()
    packed_size = len(packed)
    common = struct.pack("<5H3I2H", 20, flags, method, 0, 33, crc, packed_size, size, len(label), 0)
    local = b"PK\3\4" + common + label + packed
    central = b"PK\1\2" + struct.pack("<H", 20) + common + struct.pack("<3H2I", 0, 0, 0, 0, 0) + label
    end = b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def _npz(name: str, make: Callable[[Plot], bytes], says: str = "", codes: tuple[int, ...] = (REFUSED,)) -> Case:
    return Case(f"npz: {name}", lambda plot: plot.write("pets.npz", make(plot)), codes, says)


def _holding(name: str, members: Members, says: str = "", codes: tuple[int, ...] = (REFUSED,)) -> Case:
    return _npz(name, lambda plot: _zipped(plot, members(plot)), says, codes)


def _sound(plot: Plot) -> list[tuple[str, bytes]]:
    count = plot.draw.randrange(2, 30)
    labels = np.array([0, 1] + [plot.draw.randrange(2) for _ in range(count - 2)])
    return [(_X, npy(picture(plot.draw, count, 8, 8))), ("y.npy", npy(labels))]


def _lying_header(plot: Plot) -> list[tuple[str, bytes]]:
    big = plot.draw.randrange(10**9, 10**12)
    wrong = plot.draw.choice(
        (
            header(f"({big}, 8, 8)"),
            header(f"(6, {big}, 8)"),
            header("(-6, 8, 8)"),
            header("(6, -8, -8)"),
            header("(6, 8, 8)", "'|O'"),
            header("(6, 8, 8)", f"'|V{big}'"),
            header("(6, 8, 8)", "[('a', '|O'), ('b', '|u1')]"),
            header("(6, 8, 8)", fortran=True),
            header("()"),
            header("(6, 0, 8)"),
            header("(True, 8, 8)"),
            header(f"({'1, ' * 300})"),
            f"__import__('os').system({plot.shell!r})\n",
            "(" * 4000 + ")" * 4000 + "\n",
            "{" * 300 + "\n",
            "9" * 4000 + "\n",
            "\x1b[31m\n",
        )
    )
    return [(_X, raw_npy(wrong, bytes(384)))]


def _long_header(plot: Plot) -> bytes:
    length = plot.draw.choice((2**32 - 1, 2**31, 700 << 20))
    zeros = Zeros(700)
    begin = raw_npy(b"", version=2, length=length)
    return raw_zip(_X, zeros.deflated(begin), zeros.size + len(begin), zeros.crc(begin))


def _bomb(plot: Plot) -> bytes:
    zeros = Zeros(plot.draw.randrange(500, 900))
    side = plot.draw.choice((8, 32, 1024))
    begin = raw_npy(header(f"({zeros.size // side**2}, {side}, {side})"))
    return raw_zip(_X, zeros.deflated(begin), zeros.size + len(begin), zeros.crc(begin))


def _bomb_of_labels(plot: Plot) -> bytes:
    zeros = Zeros(600)
    begin = raw_npy(header(f"({zeros.size // 8},)", "'<i8'"))
    return raw_zip("y.npy", zeros.deflated(begin), zeros.size + len(begin), zeros.crc(begin))


def _lying_size(plot: Plot) -> bytes:
    """The table says less than the member unpacks to, or its header says more."""
    zeros = Zeros(600)
    begin = raw_npy(header("(6, 8, 8)"))
    said = plot.draw.choice((len(begin) + 384, len(begin) + 100, zeros.size + len(begin), 2**32 - 1))
    return raw_zip(_X, zeros.deflated(begin), said, plot.draw.choice((0, zeros.crc(begin))))


def _many_members(plot: Plot) -> bytes:
    count = plot.draw.randrange(200_000, 500_000)
    entry = b"PK\1\2" + struct.pack("<6H3I5H2I", 20, 20, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    central = entry * count
    end = struct.pack("<4H2IH", 0, 0, count & 0xFFFF, count & 0xFFFF, len(central), 0, 0)
    return central + b"PK\5\6" + end


def _outside(plot: Plot) -> list[tuple[str, bytes]]:
    up = "../" * plot.draw.randint(1, 4)
    names = (f"{up}x.npy", f"/{plot.canary}", f"{up}{plot.canary.name}", "C:\\x.npy", "x\n\x1b[2J.npy", "x.npy/../y")
    return [*_sound(plot), (plot.draw.choice(names), npy(picture(plot.draw, 6, 8, 8)))]


def _nested(plot: Plot) -> list[tuple[str, bytes]]:
    inner = _zipped(plot, [("x.npy", npy(_objects(plot), pickled=True))])
    return [*_sound(plot), ("x_test.npy", inner)]


def _bad_labels(plot: Plot) -> list[tuple[str, bytes]]:
    count = plot.draw.randrange(4, 30)
    labels = plot.draw.choice(
        (
            np.full(count, -1),
            np.arange(count) * 10**6,
            np.full(count, 2**63 - 1),
            np.full(count, 2**64 - 1, np.uint64),
            np.full(count, 2**16),
            np.linspace(0, 1, count),
            np.full(count, np.nan),
            np.array([f"{index}\x1b[31m" for index in range(count)]),
            np.zeros((count, 2), int),
            np.zeros(count + plot.draw.choice((-1, 1)), int),
            np.zeros(count, "datetime64[s]"),
            np.zeros(count, "timedelta64[s]"),
        )
    )
    return [(_X, npy(picture(plot.draw, count, 8, 8))), ("y.npy", npy(labels))]


def _bad_values(plot: Plot) -> list[tuple[str, bytes]]:
    values = picture(plot.draw, 6, 8, 8) / 255
    values[plot.draw.randrange(6), 3, 3] = plot.draw.choice((np.nan, np.inf, -np.inf, 1e30, 0.12345, 1.5, -2))
    return [(_X, npy(values.astype(plot.draw.choice(("f4", "f8", ">f8")))))]


def _encrypted(plot: Plot) -> bytes:
    content = npy(picture(plot.draw, 6, 8, 8))
    return raw_zip(_X, content, len(content), 0, flags=1, method=0)


def _other_method(plot: Plot) -> bytes:
    return _zipped(plot, _sound(plot), plot.draw.choice((zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)))


def _pickle(plot: Plot) -> bytes:
    return pickle.dumps(Payload(plot.shell), plot.draw.randrange(6))


def _twice(plot: Plot) -> bytes:
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("x.npy", plot.draw.choice(("X.npy", "images.npy", "x_train.npy"))):
            archive.writestr(name, npy(picture(plot.draw, 6, 8, 8)))
    content = stream.getvalue()
    return content.replace(b"X.npy", b"x.npy")


def _unusual(plot: Plot) -> list[tuple[str, bytes]]:
    pixels = picture(plot.draw, 6, 8, 8)
    change = plot.draw.choice(
        (
            lambda: pixels[..., None].repeat(3, axis=3),
            lambda: pixels[:, None],
            lambda: (pixels / 255).astype(">f4"),
            lambda: pixels / 127.5 - 1,
            lambda: pixels[:1].repeat(5000, axis=0),
        )
    )
    return [(_X, npy(np.ascontiguousarray(change())))]


# IDX


def _idx_header(*shape: int, kind: int = 8, axes: int | None = None) -> bytes:
    return struct.pack(">HBB", 0, kind, len(shape) if axes is None else axes) + struct.pack(f">{len(shape)}I", *shape)


def _idx(name: str, make: Callable[[Plot], bytes], says: str, *, gzipped: bool | None = None) -> Case:
    def plant(plot: Plot) -> Path:
        packed = plot.draw.random() < 0.5 if gzipped is None else gzipped
        suffix = ".gz" if packed else ""
        if gzipped is None and packed:
            plot.write(f"train-images-idx3-ubyte{suffix}", Zeros(0).gzip(make(plot)))
        else:
            plot.write(f"train-images-idx3-ubyte{suffix}", make(plot))
        labels = write_idx(plot.folder / "train-labels-idx1-ubyte", np.arange(6, dtype=np.uint8) % 2)
        assert labels.exists()
        return plot.folder

    return Case(f"IDX: {name}", plant, (REFUSED,), says)


def _idx_wrong(plot: Plot) -> bytes:
    pixels = bytes(384)
    return plot.draw.choice(
        (
            _idx_header(6, 8, 8, axes=2) + pixels,
            _idx_header(6, 8, 8, axes=255) + pixels,
            _idx_header(6, 8, 8, kind=13) + pixels,
            _idx_header(2**32 - 1, 2**32 - 1, 2**32 - 1) + pixels,
            _idx_header(2**31, 8, 8) + pixels,
            _idx_header(6, 2**31, 8) + pixels,
            _idx_header(6, 0, 0) + pixels,
            _idx_header(2**32 - 1, 0, 8),
            _idx_header(6, 8, 8) + pixels + plot.draw.randbytes(plot.draw.randrange(1, 99)),
            _idx_header(6, 8, 8) + pixels[: plot.draw.randrange(384)],
            _idx_header(6, 8),
            b"\0\0",
            pickle.dumps(Payload(plot.shell)),
        )
    )


def _idx_bomb(plot: Plot) -> bytes:
    zeros = Zeros(plot.draw.randrange(500, 900))
    shape = plot.draw.choice(((6, 8, 8), (zeros.size // 64, 8, 8), (zeros.size >> 20, 1024, 1024)))
    return zeros.gzip(_idx_header(*shape))


def _idx_cut(plot: Plot) -> bytes:
    return cut(Zeros(1).gzip(_idx_header(2**14, 8, 8)), plot.draw)


def _idx_sound(plot: Plot) -> Path:
    for name in ("train-images-idx3-ubyte", "t10k-images.idx3-ubyte"):
        write_idx(plot.folder / (name + plot.draw.choice(("", ".gz"))), picture(plot.draw, 6, 8, 8))
    return plot.folder


CASES = (
    _holding("objects, which are a pickle", lambda plot: [(_X, npy(_objects(plot), pickled=True))], "only a pickle"),
    _npz("a lone pickle", _pickle, "not a .npz file"),
    _holding("an array in an archive in it", _nested, "cannot be read"),
    _holding("names that lead out of it", _outside, "not a name such as x"),
    _npz("one name twice", _twice, "another array holds the images"),
    _holding("a header that lies", _lying_header, "cannot be read|of shape|of type|unpack"),
    _npz("a header of gigabytes", _long_header, "its header says that it takes"),
    _npz("a bomb", _bomb, "would unpack to"),
    _npz("a bomb of labels", _bomb_of_labels, "would unpack to|there are no images"),
    _npz("a size that lies", _lying_size, "cannot be read"),
    _npz("a million members", _many_members, "more than 64 arrays"),
    _npz("encrypted", _encrypted, "encrypted"),
    _npz("packed by another method", _other_method, "compressed by method"),
    _holding("labels that are none", _bad_labels, "label"),
    _holding("values that are no pixels", _bad_values, "values"),
    _npz("cut short", lambda plot: cut(_zipped(plot, _sound(plot)), plot.draw), "not a .npz file"),
    _npz("with bytes changed", lambda plot: damaged(_zipped(plot, _sound(plot)), plot.draw), "", (READ, REFUSED)),
    _holding("unusual, but sound", _unusual, "", (READ,)),
    _idx("a header that lies", _idx_wrong, "idx3-ubyte(.gz)?: "),
    _idx("a bomb", _idx_bomb, "idx3-ubyte.gz: cannot be read", gzipped=True),
    _idx("cut short", _idx_cut, "cannot be read", gzipped=True),
    Case("IDX: unusual, but sound", _idx_sound, (READ,)),
)
