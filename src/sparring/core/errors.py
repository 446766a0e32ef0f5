"""Errors for users: one line of cause, one of remedy, and an exit code; and text printed on a terminal."""

from __future__ import annotations

import errno
import sys
from contextlib import suppress
from typing import Any


class SparringError(Exception):
    """An error with a cause and a remedy.

    Args:
        cause: one line: the key path or the file, and what is wrong with it.
        remedy: one line: what to do about it.
    """

    exit_code = 1
    status = "failed"

    def __init__(self, cause: str, remedy: str = "") -> None:
        # The arguments of the exception stay those of the subclass, with which pickle makes it again.
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.cause} (try: {self.remedy})" if self.remedy else self.cause


class UsageError(SparringError):
    """A recipe, a key or a path that cannot be used."""

    exit_code = 2


class FolderBusy(SparringError):
    """Another process owns the run folder."""

    exit_code = 3


class CorruptInput(SparringError):
    """Data or a checkpoint that is damaged, or does not fit."""

    exit_code = 4


class StorageError(SparringError):
    """The disk is full, or it refused to write."""

    exit_code = 5

    @classmethod
    def from_os(cls, error: OSError, path: object) -> StorageError:
        """The refusal of the operating system in one line."""
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = (
            "free some space and try again; `sparring resume` continues a run"
            if full
            else "check the folder's permissions and the device, then try again"
        )
        return cls(f"{error.filename or path}: {error.strerror or error}", remedy)


class NonFinite(SparringError):
    """A number of the training became NaN or infinite."""

    exit_code = 6
    status = "non-finite"


class Flagged(SparringError):
    """An evaluation whose numbers should not be believed; they are written and printed nevertheless."""

    exit_code = 7


class Interrupted(SparringError):
    """A signal stopped the run; everything is saved."""

    status = "interrupted"

    def __init__(self, cause: str, remedy: str, signal: int) -> None:
        super().__init__(cause, remedy)
        self.exit_code = 128 + signal


def unexpected(error: Exception, remedy: str) -> SparringError:
    """An unforeseen error as one for users, with its notes."""
    wrapped = SparringError(f"unexpected {type(error).__name__}: {error}", remedy)
    for note in getattr(error, "__notes__", []):
        wrapped.add_note(note)
    return wrapped


def printable(text: str) -> str:
    """Untrusted text as one line: control characters, line breaks, direction marks and lone surrogates are escaped."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def print_error(error: SparringError) -> None:
    """Print an error on standard error: a line of cause, and a line of remedy if there is one."""
    print_note(f"error: {error.cause}" + (f"\n  try: {error.remedy}" if error.remedy else ""))


def print_note(text: str) -> None:
    """Print lines of text on standard error. A closed pipe is ignored."""
    with suppress(OSError):
        print_text(text, sys.stderr)


def print_text(text: str, out: Any = None) -> None:
    """Print lines of text that may contain untrusted text.

    Args:
        text: the lines.
        out: a text stream; standard output by default.
    """
    print("\n".join(printable(line) for line in text.split("\n")), file=out, flush=True)
