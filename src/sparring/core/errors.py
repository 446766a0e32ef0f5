"""Errors for users: one line of cause, one of remedy, and an exit code; and text printed on a terminal."""

from __future__ import annotations

import errno
import re
import sys
from contextlib import suppress
from typing import Any

LONGEST_LINE = 10_000
"""Characters of a printed line."""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def escaped(text: str) -> str:
    """The text with control characters, line breaks, direction marks and lone surrogates escaped."""
    return _CONTROLS.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


class SparringError(Exception):
    """An error with a cause and a remedy.

    Args:
        cause: one line: the key path or the file, and what is wrong with it.
        remedy: one line: what to do about it.
    """

    exit_code = 1
    status = "failed"

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(cause, remedy)
        self.cause = cause
        self.remedy = remedy

    def __str__(self) -> str:
        return self.cause

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled as text and exit code, whatever arguments a subclass takes: worker processes return errors."""
        state = {"cause": self.cause, "remedy": self.remedy, "exit_code": self.exit_code}
        return _restored, (type(self), state | {"__notes__": getattr(self, "__notes__", [])})


def _restored(kind: type[SparringError], state: dict[str, Any]) -> SparringError:
    error = kind.__new__(kind, state["cause"], state["remedy"])
    error.__dict__.update(state)
    return error


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


def printable(text: str, longest: int = 200) -> str:
    """Untrusted text as one line that is safe to print: unprintable characters are replaced."""
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:longest])
    return shown if len(text) <= longest else f"{shown}..."


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
    print("\n".join(printable(line, LONGEST_LINE) for line in text.split("\n")), file=out, flush=True)
