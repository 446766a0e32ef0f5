"""What a call was refused with, judged as a user sees it."""

from __future__ import annotations

from collections.abc import Callable

from sparring.core.errors import SparringError, StorageError


def refusal(call: Callable[[], object]) -> SparringError | None:
    """What the command line would tell of a call's failure; None if it did not fail.

    Raises:
        AssertionError: the cause or the remedy is no line that is safe to print.
    """
    try:
        call()
    except SparringError as error:
        told = error
    except OSError as error:
        told = StorageError.from_os(error, "the file system")
    else:
        return None
    for line in (*told.cause.split("\n  "), told.remedy):  # several mistakes of a record stand on a line each
        assert line.isprintable(), f"not safe to print: {line!r}"
        assert len(line) < 2000, f"{len(line)} characters: {line[:200]}"
    return told


def refused(call: Callable[[], object], *codes: int) -> SparringError:
    """What a call was refused with.

    Raises:
        AssertionError: it was not, or with another exit code than these.
    """
    told = refusal(call)
    assert told is not None, "it was accepted"
    assert told.exit_code in codes, f"exit code {told.exit_code}: {told.cause}"
    return told
