"""How much the pages of a Parquet column unpack to, as their own headers say; the reader would allocate it unasked.

A column chunk is a row of pages: a header in Thrift's compact protocol, whose fields 2 and 3 are the unpacked and the
packed size, then so many packed bytes.
Source: Apache Parquet, parquet.thrift (PageHeader), and Apache Thrift, the compact protocol.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedIOBase
from typing import NamedTuple

_HEADER = 2**16
"""Bytes; a header holds a few numbers, and the least and greatest value of its page."""
_UNPACKED, _PACKED = 2, 3
_NESTING = 16


class Page(NamedTuple):
    """Bytes of a page, packed and unpacked."""

    packed: int
    unpacked: int


def pages(file: BufferedIOBase, start: int, end: int) -> Iterator[Page]:
    """The pages of a file from `start` to `end`.

    Raises:
        ValueError: these are none.
    """
    while start < end:
        file.seek(start)
        thrift = _Thrift(file.read(_HEADER))
        fields = thrift.struct(0)
        page = Page(fields.get(_PACKED, -1), fields.get(_UNPACKED, -1))
        if min(page) < 0:
            raise ValueError("a page without a size")
        yield page
        start += thrift.at + page.packed


class _Thrift:
    """A cursor in bytes of the compact protocol."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.at = 0

    def struct(self, depth: int) -> dict[int, int]:
        """The whole numbers among the fields of a struct, by field; the others are skipped."""
        fields: dict[int, int] = {}
        field = 0
        while kind := self._byte():
            field = field + (kind >> 4) if kind >> 4 else self._signed()
            number = self._value(kind & 15, depth)
            if number is not None:
                fields[field] = number
        return fields

    def _value(self, kind: int, depth: int) -> int | None:
        if depth > _NESTING:
            raise ValueError("a header within headers")
        if kind in (4, 5, 6):
            return self._signed()
        if kind == 12:
            self.struct(depth + 1)
        elif kind in (9, 10):
            self._list(depth)
        else:
            self._skip({1: 0, 2: 0, 3: 1, 7: 8}.get(kind, -1) if kind != 8 else self._unsigned())
        return None

    def _list(self, depth: int) -> None:
        size = self._byte()
        for _ in range(size >> 4 if size >> 4 < 15 else self._unsigned()):
            if size & 15 in (1, 2):
                self._skip(1)  # alone in a list, a truth value takes a byte
            else:
                self._value(size & 15, depth + 1)

    def _skip(self, count: int) -> None:
        if not 0 <= count <= len(self._content) - self.at:
            raise ValueError("a damaged page header")
        self.at += count

    def _byte(self) -> int:
        self._skip(1)
        return self._content[self.at - 1]

    def _unsigned(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    def _signed(self) -> int:
        number = self._unsigned()
        return number >> 1 ^ -(number & 1)
