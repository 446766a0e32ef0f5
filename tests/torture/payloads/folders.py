"""Folders of images: links, pipes, devices, hostile names, and crowds of classes."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from torture.payloads.case import READ, REFUSED, USAGE, Case, Plot, pngs

_NAMES: tuple[bytes, ...] = (
    b"\x1b[2J\x1b[31mred",
    b"line\n  0.png: sound",
    b"\xff\xfe\x80",
    b"\xe2\x80\xaegnp",
    b"\x07\x08\r",
    b"\x9b31m",
    b"\xc2\x9b31m",
)


def _sound(plot: Plot, *folders: str) -> None:
    for folder in folders or ("cat", "dog"):
        for index, content in enumerate(pngs(plot.draw, 3)):
            plot.write(f"{folder}/{index}.png", content)


def _planted(plant: Callable[[Plot], None]) -> Callable[[Plot], Path]:
    def make(plot: Plot) -> Path:
        _sound(plot)
        plant(plot)
        return plot.folder

    return make


def _link_to_a_file(plot: Plot) -> None:
    secret = plot.secret / plot.draw.choice(("private.png", "notes.txt"))
    target = plot.draw.choice(
        (
            str(secret),
            os.path.relpath(secret, plot.folder / "cat"),
            "/etc/passwd",
            "/dev/zero",
            "/dev/stdin",
            "/proc/self/environ",
            "nowhere",
            "loop.png",
        )
    )
    (plot.folder / "cat" / "loop.png").symlink_to(target)


def _link_to_a_folder(plot: Plot) -> None:
    place = plot.folder / plot.draw.choice(("extra", "cat/more", "train", "img_align_celeba", "ILSVRC2012_img_train"))
    secret = plot.draw.choice((str(plot.secret), os.path.relpath(plot.secret, place.parent)))
    place.symlink_to(plot.draw.choice((secret, "/", "..", ".", "../cat", "/proc/self")))


def _no_file(plot: Plot) -> None:
    path = plot.folder / "cat" / "odd.png"
    kind = plot.draw.choice(("pipe", "socket", "device"))
    if kind == "device" and os.geteuid() == 0:
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
            return
        except PermissionError:
            kind = "pipe"
    if kind == "socket":
        here = os.getcwd()
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(path.name)
        os.chdir(here)
    else:
        os.mkfifo(path)


def _name_of_a_broken_image(plot: Plot) -> None:
    name = plot.draw.choice((*_NAMES, b"x" * 251, b"a" * 240 + b"\x1b[31m"))
    plot.write(b"cat/" + name + b".png", b"not an image")


def _name_of_a_class(plot: Plot) -> None:
    plot.write(plot.draw.choice(_NAMES) + b"/0.png", pngs(plot.draw, 1)[0])


def _crowd(plot: Plot) -> None:
    for index in range(plot.draw.randrange(200, 500)):
        os.mkdir(plot.folder / f"{index}")


def _deep(plot: Plot) -> None:
    plot.write("cat/" + "d/" * plot.draw.randrange(100, 300) + "0.png", pngs(plot.draw, 1)[0])


def _beside(plot: Plot) -> None:
    for name in ("Thumbs.db", ".DS_Store", "__MACOSX/cat/._0.png", "__MACOSX/cat/1.png", "cat/.0.png"):
        plot.write(name, b"nothing of interest")
    plot.write("cat/nested.png/0.png", pngs(plot.draw, 1)[0])
    plot.write(b"dog/" + plot.draw.choice(_NAMES) + b".png", pngs(plot.draw, 1)[0])
    (plot.folder / "dog" / "again.png").symlink_to(plot.draw.choice(("0.png", "../cat/0.png")))
    (plot.folder / "README").symlink_to("/etc/passwd")
    os.mkfifo(plot.folder / "pipe")


def _case(name: str, plant: Callable[[Plot], None], says: str, codes: tuple[int, ...] = (REFUSED,)) -> Case:
    return Case(f"folder: {name}", _planted(plant), codes, says)


def _no_image(plot: Plot) -> Path:
    plot.write("a.svg", b"<svg/>")
    plot.write("b.html", b"<html/>")
    return plot.folder


CASES = (
    _case("a link to a file", _link_to_a_file, "loop.png: a link"),
    _case("a link to a folder", _link_to_a_folder, "a link to a folder|not here"),
    _case("a pipe, a socket, a device", _no_file, "odd.png: a pipe, a socket or a device"),
    _case("names of broken images", _name_of_a_broken_image, "unreadable image"),
    _case("names of classes", _name_of_a_class, "should be printable"),
    _case("a crowd of classes", _crowd, "a class without an image"),
    _case("folders in folders", _deep, "", (READ,)),
    _case("unusual, but sound", _beside, "", (READ,)),
    Case("folder: without images", _no_image, (USAGE,), "nothing here that can be read"),
)
