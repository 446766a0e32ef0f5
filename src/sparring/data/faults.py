"""What is wrong with data: all faults are collected before one error reports them, so that one run finds them all."""

from __future__ import annotations

from sparring.core.errors import CorruptInput, printable

SHOWN = 20
"""Faults that are spelled out; the rest are counted."""


class Faults:
    """A list of faults; its length is their number."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, fault: str) -> None:
        """Note one fault: one line that says where it is and what is wrong."""
        self._lines.append(printable(fault))

    def raise_any(self, what: str, remedy: str) -> None:
        """Raise one error for all faults, if there are any.

        Args:
            what: the source or store that has them.
            remedy: what to do about them.

        Raises:
            CorruptInput: with a line for each of the first, and the number of the others.
        """
        if not self._lines:
            return
        what, (first, *others) = printable(what), self._lines
        if not others:
            raise CorruptInput(first if first.startswith(f"{what}:") else f"{what}: {first}", remedy)
        more = [f"and {len(self) - SHOWN:,} more"] if len(self) > SHOWN else []
        raise CorruptInput("\n  ".join([f"{what} has {len(self):,} faults:", *self._lines[:SHOWN], *more]), remedy)


def first_line(error: BaseException) -> str:
    """The first line of an exception's message; of the operating system's, without number and path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).strip() or type(error).__name__).split("\n")[0]
