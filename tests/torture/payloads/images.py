"""Images: broken ones, ones of other formats, and bombs; each among sound ones, in a folder or in a table."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from data_layouts import write_parquet
from torture.payloads.case import READ, REFUSED, Case, Plot, Zeros, cut, damaged, encoded, picture, pngs

Make = Callable[[Plot], bytes]

_FOREIGN = ("TIFF", "ICO", "PCX", "TGA", "SGI", "DDS", "PDF", "JPEG2000", "IM", "SPIDER", "ICNS", "MSP", "XBM")
_READ = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "PPM")


def chunk(kind: bytes, content: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def raw_png(width: int, height: int, *, bits: int = 8, colour: int = 0, extra: bytes = b"", data: bytes = b"") -> bytes:
    """A PNG that says what it is told to."""
    header = struct.pack(">2I5B", width, height, bits, colour, 0, 0, 0)
    pixels = chunk(b"IDAT", data) if data else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + pixels + chunk(b"IEND", b"")


def _in_folder(plot: Plot, content: bytes) -> Path:
    for index, sound in enumerate(pngs(plot.draw)):
        plot.write(f"{index}.png", sound)
    plot.write("bad.png", content)
    return plot.folder


def _in_table(plot: Plot, content: bytes) -> Path:
    contents = pngs(plot.draw)
    contents.insert(plot.draw.randrange(7), content)
    return write_parquet(plot.folder / "train.parquet", contents, None)


def _case(name: str, make: Make, says: str = "", codes: tuple[int, ...] = (REFUSED,), size: int = 0) -> Case:
    def plant(plot: Plot) -> Path:
        place = plot.draw.choice((_in_folder, _in_table))
        return place(plot, make(plot))

    return Case(f"image: {name}", plant, codes, says, ("--size", str(size)) if size else ())


def _any(draw: random.Random, side: int = 8) -> bytes:
    format = draw.choice(_READ)
    mode = draw.choice(("L", "RGB"))
    shape = (side, side) if mode == "L" else (side, side, 3)
    return encoded(picture(draw, *shape), format)


def _huge(plot: Plot) -> bytes:
    """A file that says it is huge, and is not."""
    side = plot.draw.randrange(20_000, 60_000)
    return plot.draw.choice(
        (
            raw_png(side, side, bits=1, data=zlib.compress(bytes(1000))),
            b"P6 %d %d 255\n" % (side, side) + bytes(1000),
            b"GIF89a" + struct.pack("<2H 3x c 4H B", side, side, b",", 0, 0, side, side, 0) + b"\2\0;",
            b"BM" + struct.pack("<6I 2H 6I", 10**6, 0, 54, 40, side, side, 1, 24, *[0] * 6) + bytes(1000),
            _said_to_be(encoded(picture(plot.draw, 8, 8, 3), "JPEG"), side),
        )
    )


def _said_to_be(jpeg: bytes, side: int) -> bytes:
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">2H", side, side) + jpeg[at + 4 :]


def _palette_bomb(plot: Plot) -> bytes:
    side = plot.draw.randrange(6_500, 9_300)
    row = 1 + (side + 7) // 8
    palette = chunk(b"PLTE", bytes(6))
    return raw_png(side, side, bits=1, colour=3, extra=palette, data=zlib.compress(bytes(row * side), 9))


def _chunk_bomb(plot: Plot) -> bytes:
    kind, before = plot.draw.choice(
        ((b"iCCP", b"name\0\0"), (b"zTXt", b"Comment\0\0"), (b"iTXt", b"Comment\0\1\0\0\0"), (b"fdAT", b"\0\0\0\0"))
    )
    extra = chunk(kind, before + Zeros(plot.draw.randrange(400, 900)).zlib())
    return raw_png(8, 8, extra=extra * plot.draw.randint(1, 3), data=zlib.compress(bytes(72)))


def _scans(plot: Plot) -> bytes:
    image = Image.new("L", (2000, 2000), 99)
    jpeg = encoded(image, "JPEG", progressive=True)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:last] + jpeg[last:-2] * plot.draw.randrange(2_000, 6_000) + b"\xff\xd9"


def _coefficients(plot: Plot) -> bytes:
    side = plot.draw.randrange(5_500, 5_700)
    return encoded(Image.new("CMYK", (side, side)), "JPEG", progressive=True)


def _deep(plot: Plot) -> bytes:
    bits = np.random.default_rng(plot.draw.randrange(99)).integers(0, 2**16, (8, 8), np.uint16)
    colour, channels = plot.draw.choice(((2, 3), (4, 2), (6, 4), (0, 1)))
    rows = b"".join(b"\0" + bytes(2 * channels * 8) for _ in range(8))
    return plot.draw.choice(
        (
            encoded(Image.fromarray(bits)),
            raw_png(8, 8, bits=16, colour=colour, data=zlib.compress(rows)),
            b"P6 8 8 65535\n" + bytes(8 * 8 * 6),
            b"P5 8 8 1023\n" + bytes(8 * 8 * 2),
            encoded(Image.new("F", (8, 8)), "TIFF"),
        )
    )


def _postscript(plot: Plot) -> bytes:
    run = f"(%pipe%{plot.shell}) (w) file pop ({plot.canary}) (w) file closefile"
    return f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n{run}\nshowpage\n%%EOF".encode()


def _markup(plot: Plot) -> bytes:
    return plot.draw.choice(
        (
            b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg>&x;</svg>',
            b"<html><script>alert(1)</script></html>",
            b"GIF89a/*<script>*/=1;",
            b"#!/bin/sh\n" + plot.shell.encode(),
            b"",
            b"\0" * plot.draw.randrange(1, 5000),
            plot.draw.randbytes(plot.draw.randrange(1, 5000)),
        )
    )


def _long(plot: Plot) -> bytes:
    return encoded(picture(plot.draw, 1, plot.draw.choice((9, 100_000))))


def _bad_checksum(plot: Plot) -> bytes:
    content = bytearray(encoded(picture(plot.draw)))
    at = content.index(plot.draw.choice((b"IHDR", b"IDAT")))
    end = at + 4 + int.from_bytes(content[at - 4 : at], "big")
    content[plot.draw.randrange(end, end + 4)] ^= plot.draw.randrange(1, 256)
    return bytes(content)


def _rotated(plot: Plot) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = plot.draw.randrange(10)
    return encoded(picture(plot.draw, 8, 8), plot.draw.choice(("JPEG", "PNG", "WEBP")), exif=exif)


def _bad_exif(plot: Plot) -> bytes:
    exif = b"Exif\0\0" + plot.draw.choice((b"MM\0*", b"II*\0")) + plot.draw.randbytes(plot.draw.randrange(4, 200))
    return encoded(picture(plot.draw, 8, 8), plot.draw.choice(("JPEG", "PNG", "WEBP")), exif=exif)


def _animated(plot: Plot) -> bytes:
    frames = [Image.fromarray(picture(plot.draw)) for _ in range(plot.draw.randrange(50, 300))]
    format = plot.draw.choice(("GIF", "PNG", "WEBP"))
    return encoded(frames[0], format, save_all=True, append_images=frames[1:])


def _unusual(plot: Plot) -> bytes:
    draw = plot.draw
    colour = Image.fromarray(picture(draw, draw.choice((7, 8, 9, 40)), draw.choice((7, 8, 9, 40)), 3))
    clear = colour.convert("P")
    clear.info["transparency"] = draw.choice((3, bytes(range(256))))
    return draw.choice(
        (
            encoded(colour.convert("LA")),
            encoded(colour.convert("RGBA"), draw.choice(("PNG", "WEBP"))),
            encoded(clear, draw.choice(("PNG", "GIF")) if clear.info["transparency"] == 3 else "PNG"),
            encoded(colour.convert("1"), draw.choice(("PNG", "BMP", "PPM", "GIF"))),
            encoded(colour.convert("CMYK"), "JPEG", progressive=draw.random() < 0.5),
            encoded(colour, draw.choice(_READ)),
            encoded(colour.convert("L"), draw.choice(_READ)),
            _large_photograph(draw),
        )
    )


def _large_photograph(draw: random.Random) -> bytes:
    """More pixels than are decoded at full size."""
    side = draw.randrange(6000, 6500)
    return encoded(Image.new("RGB", (side, side), (9, 99, 199)), "JPEG")


def _foreign(plot: Plot) -> bytes:
    format = plot.draw.choice(_FOREIGN)
    image = Image.fromarray(picture(plot.draw, 16, 16))
    modes = {"MSP": "1", "XBM": "1", "SPIDER": "F", "ICNS": "RGBA", "ICO": "RGBA"}
    stream = BytesIO()
    (image.resize((64, 64)) if format == "ICNS" else image).convert(modes.get(format, "L")).save(stream, format)
    return stream.getvalue()


CASES = (
    _case("cut short", lambda plot: cut(_any(plot.draw), plot.draw), "unreadable|shape|pixels"),
    _case("wrong magic", lambda plot: plot.draw.randbytes(1) + b"\0" + _any(plot.draw)[2:], "none of PNG"),
    _case("wrong checksum", _bad_checksum, "unreadable image"),
    _case("of no size", lambda plot: raw_png(*plot.draw.choice(((0, 8), (8, 0), (0, 0))), data=b"x"), "unreadable"),
    _case("markup, scripts and noise", _markup, "unreadable image"),
    _case("of another format", _foreign, "none of PNG"),
    _case("PostScript with a payload", _postscript, "none of PNG"),
    _case("of 16 bits", _deep, "8 (bits a channel )?are needed|none of PNG"),
    _case("of another shape", _long, "shape 1x1x"),
    _case("said to be huge", _huge, "pixels|unreadable"),
    _case("a bomb of pixels", _palette_bomb, "pixels take"),
    _case("a bomb of coefficients", _coefficients, "pixels take"),
    _case("a bomb of scans", _scans, "scans, where"),
    _case("a bomb in a chunk", _chunk_bomb, "", (READ, REFUSED)),
    _case("with bytes changed", lambda plot: damaged(_any(plot.draw, 16), plot.draw, 9), "", (READ, REFUSED), 8),
    _case("with noise for EXIF", _bad_exif, "", (READ, REFUSED)),
    _case("animated", _animated, "", (READ,), 8),
    _case("turned by EXIF", _rotated, "", (READ,), 8),
    _case("unusual, but sound", _unusual, "", (READ,), 8),
)
