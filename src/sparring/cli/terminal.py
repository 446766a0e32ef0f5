"""What verbs share: options; progress and tables on a terminal, plain lines elsewhere; results as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table
from rich.text import Text

from sparring.core.errors import print_note, print_text, printable
from sparring.core.pieces import Piece
from sparring.core.process import Progress, rank
from sparring.runs.schema import MetricValue

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Loggers = Annotated[
    list[str] | None,
    typer.Option("--log", metavar="NAME", help="Log to wandb, mlflow or an installed logger too; may be repeated."),
]
Verbose = Annotated[bool, typer.Option("--verbose", help="Print every measure too, with its interval and protocol.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0 keeps torch's default.")]
RunPath = Annotated[Path, typer.Argument(help="A run folder.", show_default=False)]
NewRun = Annotated[Path, typer.Option(help="The run folder to create.")]
GameIndex = Annotated[int, typer.Option(min=0, help="Which game, for a run that packs several.")]
RecipeName = Annotated[str, typer.Argument(help="A name from `sparring list recipes`, or a YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Dotted keys, e.g. feedback.probability=0.4"),
]

Row = dict[str, Any]

LINE_EVERY = 10.0
"""Seconds between two plain progress lines."""
CELL_EVERY = 0.3
"""Seconds between two texts of a line in a notebook, which changes in place."""


def set_threads(threads: int) -> None:
    """Set the number of torch's CPU threads; 0 keeps its default."""
    if threads:
        import torch

        torch.set_num_threads(threads)


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

    def part(self, what: str) -> Progress:
        return _PartBar(self._shown, what)


class _PartBar(_Bar):
    """A bar that goes when it is full."""

    def advance(self, done: int, total: int) -> None:
        super().advance(done, total)
        self._shown.update(self._task, visible=done < total)


class _Lines(Progress):
    def __init__(self, what: str, every: float, new_line: Callable[[], Callable[[str], None]]) -> None:
        self._what, self._every, self._new_line, self._show = what, every, new_line, new_line()
        self._began, self._last_shown, self._first = 0.0, 0.0, 0

    def note(self, text: str) -> None:
        print_note(text)

    def advance(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._last_shown:
            self._began, self._first = now, done
        elif done < total and now - self._last_shown < self._every:
            return
        self._last_shown = now
        seconds = now - self._began
        rate = (done - self._first) / seconds if seconds >= 1 else 0.0
        speed = f", {rate:,.1f} a second, {(total - done) / rate:,.0f} s left" if rate else ""
        self._show(f"{self._what}: {done:,} of {total:,}{speed}")

    def part(self, what: str) -> Progress:
        return _Lines(what, self._every, self._new_line)


def _line_of_a_cell() -> Callable[[str], None]:
    """A line below a notebook's cell, whose text can be replaced."""
    from IPython.display import DisplayHandle  # a notebook has it

    shown = DisplayHandle()
    shown.display({"text/plain": ""}, raw=True)
    return lambda text: shown.update({"text/plain": text}, raw=True)


@contextmanager
def show_progress(what: str) -> Iterator[Progress]:
    """Progress on standard error; in a notebook a line below the cell, which changes in place.

    Args:
        what: is counted, in the plural.
    """
    console = Console(stderr=True, emoji=False, quiet=rank() > 0)
    if console.is_jupyter:
        yield _Lines(what, CELL_EVERY, _line_of_a_cell)
        return
    if not console.is_terminal:
        yield _Lines(what, LINE_EVERY, lambda: print_note)
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


def print_rows(title: str, rows: list[Row]) -> None:
    """Rows with equal keys as a table."""
    columns = list(rows[0]) if rows else []
    print_table(title, columns, [[cell(row[column]) for column in columns] for row in rows])


def print_metrics(metrics: Mapping[str, MetricValue], title: str) -> None:
    """The metrics of a summary, and below them the protocol of each."""
    rows = [[name, cell(metric.value), intervals_of(metric)] for name, metric in metrics.items()]
    print_table(title, ["measure", "value", "95 % interval"], rows)
    for protocol in dict.fromkeys(metric.protocol for metric in metrics.values()):
        names = ", ".join(name for name, metric in metrics.items() if metric.protocol == protocol)
        print_text(f"  {names}: {protocol}")


def intervals_of(metric: MetricValue) -> str:
    """The intervals of all games, as text."""
    intervals = [estimate.interval for estimate in metric.estimates if estimate.interval]
    return " ".join(f"[{low:.4g}, {high:.4g}]" for low, high in intervals) or "-"


def cell(value: Any) -> str:
    """A value in a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " ".join(cell(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {cell(item)}" for key, item in value.items())
    if isinstance(value, Piece):
        return value.name
    return "-" if value is None else str(value)


def print_json(value: Any) -> None:
    """Print a result as JSON on standard output."""
    print(json.dumps(value, indent=2, allow_nan=False))


def print_problems(problems: Iterable[str]) -> None:
    """Print on standard error what could not be used or measured."""
    for problem in problems:
        print_text(f"skipped: {problem}", sys.stderr)
