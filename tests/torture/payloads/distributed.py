"""CelebA, LSUN and ImageNet: lists that lead elsewhere, damaged databases, and a bomb in the devkit."""

from __future__ import annotations

import os
import pickle
import random
import struct
from collections.abc import Callable
from pathlib import Path

from data_layouts import photo, write_devkit, write_lmdb
from torture.payloads.case import READ, REFUSED, Case, Payload, Plot, Zeros, cut, damaged

Make = Callable[[Plot], Path]

_WNIDS = ("n01440764", "n01443537")
_DEVKIT = "ILSVRC2012_devkit_t12/data"
_TRUTH = f"{_DEVKIT}/ILSVRC2012_validation_ground_truth.txt"
_PAGE = 4096


def _photos(draw: random.Random, count: int) -> dict[str, bytes]:
    return {f"{index:040x}": photo(draw.randrange(10**6), size=(9, 7)) for index in range(count)}


# CelebA


def _celeba(plot: Plot, lines: list[str]) -> Path:
    for index in range(1, 4):
        plot.write(f"img_align_celeba/{index:06}.jpg", photo(index))
    plot.write("list_eval_partition.txt", "\n".join(lines).encode())
    return plot.folder


def _partition(plot: Plot) -> Path:
    lines = [f"{index:06}.jpg {index - 1}" for index in range(1, 4)]
    other = plot.draw.choice(
        (
            "../../secret/private.png 0",
            f"{plot.secret}/private.png 0",
            "000001.jpg 0",
            "000001.jpg 7",
            "\x1b[31m 0",
            "x" * (1 << 20),
            "a 0\n" * 500_000,
        )
    )
    return _celeba(plot, [*lines, other])


def _partition_elsewhere(plot: Plot) -> Path:
    source = _celeba(plot, [])
    path = source / "list_eval_partition.txt"
    path.unlink()
    kind = plot.draw.randrange(3)
    if kind == 0:
        os.mkfifo(path)
    elif kind == 1:
        path.symlink_to(plot.draw.choice(("/dev/zero", "/dev/random")))
    else:
        with path.open("wb") as file:
            file.truncate(10 << 30)
    return source


# LSUN


def _database(plot: Plot, count: int = 60) -> Path:
    plot.folder.parent.mkdir(parents=True, exist_ok=True)
    return write_lmdb(plot.folder / "bedroom_train_lmdb", _photos(plot.draw, count)) / "data.mdb"


def _damaged_database(plot: Plot) -> Path:
    file = _database(plot)
    content = bytearray(file.read_bytes())
    for _ in range(plot.draw.randint(1, 4)):
        page = plot.draw.randrange(len(content) // _PAGE) * _PAGE
        kind = plot.draw.randrange(4)
        if kind == 0:
            content[page : page + _PAGE] = bytes(_PAGE)
        elif kind == 1:
            content[page : page + _PAGE] = plot.draw.randbytes(_PAGE)
        elif kind == 2:
            struct.pack_into("<H", content, page + 2 * plot.draw.randrange(30), plot.draw.randrange(2**16))
        else:
            content[page : page + 64] = damaged(bytes(content[page : page + 64]), plot.draw, 9)
    file.write_bytes(content)
    return file.parent


def _tree_in_a_circle(plot: Plot) -> Path:
    """The root becomes a branch page whose every node names the root, or one leaf over and over."""
    file = _database(plot)
    content = bytearray(file.read_bytes())
    meta = max((0, _PAGE), key=lambda at: struct.unpack_from("<Q", content, at + 144)[0])
    root = struct.unpack_from("<Q", content, meta + 128)[0]
    target = (
        root
        if plot.draw.random() < 0.5
        else next(number for number in range(2, len(content) // _PAGE) if content[number * _PAGE + 10] == 2)
    )
    count = 300
    page = bytearray(_PAGE)
    struct.pack_into("<Q 2x 3H", page, 0, root, 1, 16 + 2 * count, _PAGE - 8 * count)
    for index in range(count):
        start = _PAGE - 8 * (index + 1)
        struct.pack_into("<H", page, 16 + 2 * index, start)
        struct.pack_into("<4H", page, start, target & 0xFFFF, target >> 16, 0, 0)
    content[root * _PAGE : (root + 1) * _PAGE] = page
    file.write_bytes(content)
    return file.parent


def _long_value(plot: Plot) -> Path:
    """Values of gigabytes, in a file that has as many holes."""
    file = _database(plot, 3)
    content = file.read_bytes()
    at = content.index(photo(0)[:3]) if photo(0)[:3] in content else _PAGE
    file.write_bytes(content[:at])
    with file.open("r+b") as stream:
        stream.truncate(4 << 30)
    return file.parent


def _cut_database(plot: Plot) -> Path:
    file = _database(plot)
    file.write_bytes(cut(file.read_bytes(), plot.draw))
    return file.parent


def _no_database(plot: Plot) -> Path:
    content = plot.draw.choice((pickle.dumps(Payload(plot.shell)), plot.draw.randbytes(9999), bytes(9999)))
    return plot.write("bedroom_train_lmdb/data.mdb", content).parent


# ImageNet


def _imagenet(plot: Plot) -> Path:
    for wnid in _WNIDS:
        for index in range(2):
            plot.write(f"ILSVRC2012_img_train/{wnid}/{wnid}_{index}.JPEG", photo(index))
    for index in range(1, 4):
        plot.write(f"ILSVRC2012_img_val/ILSVRC2012_val_{index:08}.JPEG", photo(index))
    return write_devkit(plot.folder, _WNIDS, "1\n2\n1\n")


def _devkit(plot: Plot) -> Path:
    source = _imagenet(plot)
    meta = source / _DEVKIT / "meta.mat"
    bomb = Zeros(600)
    part = bomb.zlib(struct.pack("<2I", 14, bomb.size))
    sound = meta.read_bytes()
    meta.write_bytes(
        plot.draw.choice(
            (
                sound[:128] + struct.pack("<2I", 15, len(part)) + part,
                pickle.dumps(Payload(plot.shell)),
                cut(sound, plot.draw),
                b"MATLAB 7.3 MAT-file" + bytes(900),
                damaged(sound[:400], plot.draw) + bytes(5 << 20),
            )
        )
    )
    return source


def _truth(plot: Plot) -> Path:
    source = _imagenet(plot)
    lines = plot.draw.choice(("1\n" * 300_000, "1\n2\n\x1b[31m\n", "1\n2\n99\n", "1\n", "\0" * 9999))
    (source / _TRUTH).write_text(lines)
    return source


def _sound(plot: Plot) -> Path:
    return plot.draw.choice(
        (
            lambda plot: _celeba(plot, [f"{index:06}.jpg {index - 1}" for index in range(1, 4)]),
            lambda plot: _database(plot).parent,
            _imagenet,
        )
    )(plot)


def _case(name: str, make: Make, says: str, codes: tuple[int, ...] = (REFUSED,)) -> Case:
    return Case(name, make, codes, says)


CASES = (
    _case("CelebA: a list that leads elsewhere", _partition, "list_eval_partition"),
    _case("CelebA: a list that is none", _partition_elsewhere, "list_eval_partition.txt: "),
    _case("LSUN: damaged pages", _damaged_database, "", (READ, REFUSED)),
    _case("LSUN: a tree in a circle", _tree_in_a_circle, "lies below itself"),
    _case("LSUN: a file of holes", _long_value, "damaged|unreadable|page|cut short|read"),
    _case("LSUN: cut short", _cut_database, "damaged|cut short|unreadable"),
    _case("LSUN: no database", _no_database, "not an LMDB file"),
    _case("ImageNet: the devkit's classes", _devkit, "meta.mat: damaged"),
    _case("ImageNet: the devkit's truth", _truth, "ground_truth"),
    _case("CelebA, LSUN, ImageNet: sound", _sound, "", (READ,)),
)
