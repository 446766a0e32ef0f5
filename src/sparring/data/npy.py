"""The header of a `.npy` file: what it says of the array behind it, believed in nothing and never unpickled.

Source: the NumPy enhancement proposal 1, A simple file format for NumPy arrays.
"""

from __future__ import annotations

from io import BufferedIOBase, BytesIO
from typing import Any, NamedTuple

import numpy as np

from sparring.data.faults import first_line

_MAGIC = b"\x93NUMPY"
_LONGEST = 4096
"""Bytes of a header; those of plain arrays take 118."""


class Header(NamedTuple):
    """The type and shape of an array in C order, and where its numbers begin."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int


def read_header(stream: BufferedIOBase) -> Header:
    """Read the header at the beginning of a stream, and no more.

    Raises:
        ValueError: this is none, or not one of an array of plain numbers or texts in C order.
    """
    start = stream.read(8)
    if start[:6] != _MAGIC or start[6:] not in (b"\1\0", b"\2\0"):
        raise ValueError("not a .npy file")
    digits = stream.read(2 if start[6] == 1 else 4)
    length = int.from_bytes(digits, "little")
    if length > _LONGEST:
        raise ValueError(f"its header says that it takes {length:,} bytes")
    text = BytesIO(digits + stream.read(length))
    read = np.lib.format.read_array_header_1_0 if start[6] == 1 else np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = read(text)
    except Exception as error:  # it parses the header as Python's literals, and raises what the parser raises
        raise ValueError(f"a damaged header: {first_line(error)}") from None
    if dtype.hasobject:
        raise ValueError("objects, which only a pickle holds; pickles are never read")
    if fortran and len(shape) > 1:
        raise ValueError("in Fortran order; save it with numpy.ascontiguousarray")
    if any(side < 0 for side in shape):
        raise ValueError(f"a damaged header: shape {shape}")
    return Header(dtype, shape, len(start) + text.tell())
