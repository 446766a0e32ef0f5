"""A kind of data set that a stranger may hand over, and the folder in which one is planted."""

from __future__ import annotations

import os
import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

READ, USAGE, REFUSED = 0, 2, 4


@dataclass(frozen=True)
class Plot:
    """Where a data set is planted.

    Args:
        folder: of the data set.
        canary: a file that every payload tries to make.
        secret: a folder with files that no data set may reach, `private.png` and `notes.txt`.
        draw: what is left to chance.
    """

    folder: Path
    canary: Path
    secret: Path
    draw: random.Random

    def write(self, name: str | bytes, content: bytes) -> Path:
        """A file of the data set."""
        path = Path(os.fsdecode(os.path.join(os.fsencode(self.folder), os.fsencode(name))))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    @property
    def shell(self) -> str:
        """The command that a payload runs."""
        return f"touch {self.canary}"


@dataclass(frozen=True)
class Case:
    """A kind of data set.

    Args:
        name: in the table.
        plant: makes one, and returns the source that is named to the library.
        codes: how `prepare` may end.
        says: what stands in the message.
        options: of `data prepare`.
        command: the verb and all its arguments from source and output folder, where it is another.
    """

    name: str
    plant: Callable[[Plot], Path]
    codes: tuple[int, ...] = (REFUSED,)
    says: str = ""
    options: tuple[str, ...] = ()
    command: Callable[[Path, Path, random.Random], Sequence[str]] | None = None

    def arguments(self, source: Path, out: Path, draw: random.Random) -> list[str]:
        """Of the command line."""
        if self.command is not None:
            return list(self.command(source, out, draw))
        return ["data", "prepare", str(source), "--out", str(out), *self.options]


class Payload:
    """What runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (self._command,)


def picture(draw: random.Random, *shape: int) -> np.ndarray:
    """Random bytes."""
    return np.random.default_rng(draw.randrange(2**32)).integers(0, 256, shape or (8, 8), np.uint8)


def encoded(pixels: np.ndarray | Image.Image, format: str = "PNG", **options: object) -> bytes:
    """An image file."""
    stream = BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, format, **options)
    return stream.getvalue()


def pngs(draw: random.Random, count: int = 6) -> list[bytes]:
    """Sound grey images of 8 x 8."""
    return [encoded(picture(draw)) for _ in range(count)]


@dataclass(frozen=True)
class Zeros:
    """So many megabytes of zeros, deflated to a thousandth without ever being in memory."""

    megabytes: int

    @property
    def size(self) -> int:
        """Bytes unpacked."""
        return self.megabytes << 20

    def deflated(self, prefix: bytes = b"") -> bytes:
        """A raw stream: the prefix, then the zeros."""
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        begin = packer.compress(prefix) + packer.flush(zlib.Z_FULL_FLUSH)
        return begin + _megabyte() * self.megabytes + packer.flush()

    def zlib(self, prefix: bytes = b"") -> bytes:
        """The same with zlib's header and checksum."""
        return b"\x78\xda" + self.deflated(prefix) + self._sum(prefix, zlib.adler32).to_bytes(4, "big")

    def gzip(self, prefix: bytes = b"") -> bytes:
        """The same with gzip's."""
        size = (self.size + len(prefix)) & 0xFFFFFFFF
        end = self.crc(prefix).to_bytes(4, "little") + size.to_bytes(4, "little")
        return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + self.deflated(prefix) + end

    def crc(self, prefix: bytes = b"") -> int:
        """The checksum of prefix and zeros."""
        return self._sum(prefix, zlib.crc32)

    def _sum(self, prefix: bytes, checksum: Callable[[bytes, int], int]) -> int:
        value = checksum(prefix, 1 if checksum is zlib.adler32 else 0)
        for _ in range(self.megabytes):
            value = checksum(_ZEROS, value)
        return value


_ZEROS = bytes(1 << 20)


@cache
def _megabyte() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(_ZEROS) + packer.flush(zlib.Z_FULL_FLUSH)


def damaged(content: bytes, draw: random.Random, count: int = 4, first: int = 0) -> bytes:
    """The same with some bytes changed from `first` on."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, count)):
        changed[draw.randrange(first, len(changed))] ^= draw.randrange(1, 256)
    return bytes(changed)


def cut(content: bytes, draw: random.Random) -> bytes:
    """The same with an end missing."""
    return content[: draw.randrange(1, int(0.8 * len(content)))]


def each(names: Sequence[str], make: Callable[[str], Case]) -> Iterator[Case]:
    """A case for every name."""
    return map(make, names)
