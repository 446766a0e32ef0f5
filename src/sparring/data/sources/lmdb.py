"""An LMDB file, read without LMDB: its library maps the file and trusts it, so that one damaged page kills the process.

A file is a row of pages. Two of them are meta pages, of which the one with the later transaction holds: it names the
root of a B+ tree. A branch page has nodes that name further pages, a leaf page nodes of a key and a value, or of a key
and the first of the pages on which a longer value lies. Here every offset is checked, and no page of the tree is
visited twice, so that whatever the file says, reading ends.
Source: H. Chu, LMDB, libraries/liblmdb/mdb.c (page, node and meta structures; data version 1, 64 bits, little-endian).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from sparring.data.opening import opened

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_META = struct.Struct("<16x 2I 16x I 44x 4x 2H 24x 4Q")
_PAGE = struct.Struct("<10x 2H 2x")
_NODE = struct.Struct("<4H")
_BRANCH, _LEAF, _OVERFLOW = 1, 2, 4
_KINDS = _BRANCH | _LEAF | _OVERFLOW
_BIG, _NOT_PLAIN = 1, 6
_EMPTY = 2**64 - 1
_UNLIKE = 0x04 | 0x08  # several values a key; numbers for keys
_PAGE_SIZES = tuple(2**power for power in range(9, 17))
_DEEPEST = 32
_LONGEST = 2**26
"""Bytes of a value; an image takes fewer."""


class Damaged(Exception):
    """What the file says cannot be."""


class Meta(NamedTuple):
    """A meta page: the page size, the tree of the main database, the last page, and the transaction that wrote it."""

    magic: int
    version: int
    page_size: int
    flags: int
    depth: int
    entries: int
    root: int
    last_page: int
    transaction: int


Value = Callable[[], bytes]
"""Reads a value when it is asked for; raises `Damaged`."""


class Database:
    """The main database of a file, open for reading.

    Args:
        path: of the file, `data.mdb`.

    Attributes:
        entries: how many values it says that it holds.

    Raises:
        Damaged: it is no LMDB file, cut short, or has what no plain database has.
        CorruptInput, OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        with ExitStack() as stack:
            self._file = stack.enter_context(opened(path))
            self._size = os.fstat(self._file.fileno()).st_size
            self._meta = self._newest_meta()
            self.entries = self._meta.entries
            self._stack = stack.pop_all()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def items(self) -> Iterator[tuple[bytes, Value]]:
        """Every key with its value, in the order of the keys.

        Raises:
            Damaged: from here on it cannot be read.
        """
        if self._meta.root != _EMPTY:
            yield from self._below(self._meta.root, 0, set())

    def _below(self, number: int, depth: int, visited: set[int]) -> Iterator[tuple[bytes, Value]]:
        if number in visited or depth >= _DEEPEST:
            raise Damaged(f"page {number} lies below itself")
        visited.add(number)
        kind, page = self._page(number)
        for low, high, flags, key, at in self._nodes(number, page):
            if kind == _BRANCH:
                yield from self._below(low | high << 16 | flags << 32, depth + 1, visited)
            else:
                yield key, self._value(page, low | high << 16, flags, at)

    def _page(self, number: int) -> tuple[int, bytes]:
        page = self._read(number * self._meta.page_size, self._meta.page_size)
        kind = _PAGE.unpack_from(page)[0] & _KINDS
        if kind not in (_BRANCH, _LEAF):
            raise Damaged(f"page {number} is none of a tree")
        return kind, page

    def _nodes(self, number: int, page: bytes) -> Iterator[tuple[int, int, int, bytes, int]]:
        """The three numbers of every node, its key, and where what follows the key begins."""
        _, lower = _PAGE.unpack_from(page)
        if not _PAGE.size <= lower <= len(page):
            raise Damaged(f"page {number} has {lower} bytes of pointers")
        for (start,) in struct.iter_unpack("<H", page[_PAGE.size : lower - lower % 2]):
            if start + _NODE.size > len(page):
                raise Damaged(f"page {number} points beyond its end")
            low, high, flags, length = _NODE.unpack_from(page, start)
            at = start + _NODE.size + length
            if at > len(page):
                raise Damaged(f"page {number} has a key of {length} bytes")
            yield low, high, flags, page[at - length : at], at

    def _value(self, page: bytes, size: int, flags: int, at: int) -> Value:
        def read() -> bytes:
            if flags & _NOT_PLAIN or size > _LONGEST:
                raise Damaged(f"a value of kind {flags} and {size:,} bytes")
            if not flags & _BIG:
                return self._within(page, at, size)
            first = int.from_bytes(self._within(page, at, 8), "little") * self._meta.page_size
            kind, _ = _PAGE.unpack(self._read(first, _PAGE.size))
            if not kind & _OVERFLOW:
                raise Damaged("a long value does not lie where its key says")
            return self._read(first + _PAGE.size, size)

        return read

    def _within(self, page: bytes, at: int, size: int) -> bytes:
        if at + size > len(page):
            raise Damaged(f"a value of {size:,} bytes goes beyond its page")
        return page[at : at + size]

    def _read(self, at: int, size: int) -> bytes:
        if at + size > self._size:
            raise Damaged(f"cut short, or a page beyond its {self._size:,} bytes")
        content = os.pread(self._file.fileno(), size, at)
        if len(content) < size:
            raise Damaged("cut short while it is read")
        return content

    def _newest_meta(self) -> Meta:
        first = self._meta_at(0)
        newest = max(first, self._meta_at(first.page_size), key=lambda meta: meta.transaction)
        needed = (newest.last_page + 1) * newest.page_size
        if self._size < needed:
            raise Damaged(f"cut short, {self._size:,} of {needed:,} bytes")
        return newest

    def _meta_at(self, at: int) -> Meta:
        meta = Meta(*_META.unpack(self._read(at, _META.size)))
        if meta.magic != _MAGIC or meta.version != _VERSION or meta.flags & _UNLIKE:
            raise Damaged(f"no database of version {_VERSION} with plain keys")
        if meta.page_size not in _PAGE_SIZES:
            raise Damaged(f"pages of {meta.page_size:,} bytes")
        return meta
