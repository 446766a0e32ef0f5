"""Progress and tables on a terminal; plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from sparring.core.errors import print_note, printable
from sparring.core.processes import rank
from sparring.core.progress import Progress

LINE_EVERY = 10.0
"""Seconds between two plain progress lines."""


class _Rate(ProgressColumn):
    def render(self, task: Any) -> Text:
        return Text(f"{task.speed:,.1f}/s" if task.speed else "-")


class _Bar(Progress):
    def __init__(self, shown: RichProgress, what: str) -> None:
        self._shown, self._task = shown, shown.add_task(what, total=None)

    def note(self, text: str) -> None:
        self._shown.console.print(printable(text), markup=False, highlight=False)

    def advance(self, done: int, total: int) -> None:
        self._shown.update(self._task, completed=done, total=total)


class _Lines(Progress):
    def __init__(self, what: str) -> None:
        self._what, self._began, self._last_shown, self._first = what, time.monotonic(), 0.0, 0

    def note(self, text: str) -> None:
        print_note(text)

    def advance(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._last_shown:
            self._began, self._last_shown, self._first = now, now, done
        if done < total and now - self._last_shown < LINE_EVERY:
            return
        self._last_shown = now
        if now - self._began < 1:
            self.note(f"{self._what}: {done:,} of {total:,}")
            return
        rate = (done - self._first) / (now - self._began)
        left = f", {(total - done) / rate:,.0f} s left" if rate and done < total else ""
        self.note(f"{self._what}: {done:,} of {total:,}, {rate:,.1f} a second{left}")


@contextmanager
def show_progress(what: str) -> Iterator[Progress]:
    """Progress on standard error.

    Args:
        what: is counted, in the plural.
    """
    console = Console(stderr=True, emoji=False, quiet=rank() > 0)
    if not console.is_terminal:
        yield _Lines(what)
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn()
    with RichProgress(*columns, console=console) as shown:
        yield _Bar(shown, what)


def print_table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A table on standard output, as wide as it needs to be where no terminal limits it."""
    console = Console(emoji=False)
    if not console.is_terminal:
        console = Console(width=200, emoji=False)
    table = Table(title=_plain(title) if title else None, title_justify="left", show_lines=False)
    for column in columns:
        table.add_column(_plain(column), overflow="fold")
    for row in rows:
        table.add_row(*map(_plain, row))
    console.print(table)


def _plain(text: str) -> Text:
    """Text that rich does not read as markup."""
    return Text(printable(text))
