"""What is wrong with data: every fault is collected before any is told, so that one run finds them all."""

from __future__ import annotations

from sparring.core.errors import CorruptInput, escaped

SHOWN = 20
"""Faults of one kind that are spelled out; the rest are counted."""

_LONGEST = 400
"""Characters of a fault; a stranger's names may be of any length."""


class Faults:
    """A list of faults by kind."""

    def __init__(self) -> None:
        self._shown: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return sum(self._counts.values())

    def add(self, kind: str, detail: str) -> None:
        """Note one fault.

        Args:
            kind: what faults are counted by, in the plural: `unreadable images`.
            detail: one line that says where it is and what is wrong.
        """
        self._counts[kind] = self._counts.get(kind, 0) + 1
        shown = self._shown.setdefault(kind, [])
        if len(shown) < SHOWN:
            line = escaped(detail)
            shown.append(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}...")

    def count(self, kind: str, more: int) -> None:
        """Note faults that need not be spelled out, because as many as are shown have been added."""
        self._counts[kind] = self._counts.get(kind, 0) + more

    def lines(self) -> list[str]:
        """Every kind's first faults, and how many more there are."""
        lines = []
        for kind, shown in self._shown.items():
            lines += shown
            if self._counts[kind] > len(shown):
                lines.append(f"and {self._counts[kind] - len(shown):,} more {kind}")
        return lines

    def tell(self, what: str, remedy: str) -> None:
        """Raise all of them at once, if there are any.

        Raises:
            CorruptInput: with one line for each.
        """
        lines, what = self.lines(), escaped(what)
        if len(self) == 1:
            raise CorruptInput(f"{what}: {lines[0]}", remedy)
        if lines:
            raise CorruptInput(f"{what} has {len(self):,} faults:\n  " + "\n  ".join(lines), remedy)


def first_line(error: BaseException) -> str:
    """An exception's message in one line; of the operating system's, without number and path."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).strip() or type(error).__name__).split("\n")[0]
