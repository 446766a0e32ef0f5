"""Tables of robustness: every attack a line, and the transfer matrix."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from sparring.report.cards import Budget, Rate, Subject, Transfer, Tried, Worst
from sparring.report.format import NONE, duration, number, percent, share


@dataclass(frozen=True)
class Entry:
    """One line in the table of attacks, in words; calls are forward and backward ones for each sample."""

    name: str
    accuracy: str
    interval: str
    kind: str = ""
    loss: str = ""
    calls: str = ""
    seconds: str = ""
    is_worst: bool = False


@dataclass(frozen=True)
class Group:
    """The attacks of one norm and size, the worst case of all of them last."""

    norm: str
    scales: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Cell:
    """What one source leaves of one target's accuracy."""

    accuracy: str
    interval: str
    share: float
    is_own: bool


@dataclass(frozen=True)
class Row:
    """One source of the transfer matrix, with a cell for every target."""

    source: str
    cells: tuple[Cell, ...]


def said(rate: Rate) -> str:
    """An accuracy and its interval: `41.2 % [38.2, 44.3]`."""
    return f"{share(rate.value)} {bounds(rate.interval)}".rstrip()


def bounds(interval: tuple[float, float] | None, digits: int = 1) -> str:
    """An interval of shares in percent, without its unit."""
    return "" if interval is None else f"[{100 * interval[0]:.{digits}f}, {100 * interval[1]:.{digits}f}]"


def groups(subject: Subject) -> tuple[Group, ...]:
    """Every attack, by norm in the order of the file and then by size."""

    def place(each: Budget) -> tuple[int, float, str]:
        return subject.norms.index(each.norm), each.epsilon, each.scales or number(each.epsilon)

    lines = [(place(each), _entry(each)) for each in subject.attacks]
    lines += [(place(each), _worst(each)) for each in subject.worst if len(each.attacks) != 1]
    grouped = groupby(sorted(lines, key=lambda line: line[0]), key=lambda line: line[0])
    return tuple(
        Group(subject.norms[norm], scales, tuple(entry for _, entry in found)) for (norm, _, scales), found in grouped
    )


def transfer_rows(matrix: Transfer) -> tuple[Row, ...]:
    """The matrix, a row for every source."""
    unknown = ((None,) * len(matrix.targets),) * len(matrix.sources)
    return tuple(
        Row(
            source,
            tuple(
                Cell(percent(left), bounds(interval, 0), left, source == target)
                for target, left, interval in zip(matrix.targets, lefts, intervals, strict=True)
            ),
        )
        for source, lefts, intervals in zip(matrix.sources, matrix.accuracy, matrix.interval or unknown, strict=True)
    )


def _entry(each: Tried) -> Entry:
    return Entry(
        name=each.name,
        accuracy=share(each.accuracy.value),
        interval=bounds(each.accuracy.interval),
        kind=each.kind,
        loss=_both(each.loss_start, "→", each.loss_end),
        calls=_both(each.forwards, "+", each.backwards),
        seconds=duration(each.seconds),
    )


def _both(first: float | None, sign: str, second: float | None) -> str:
    return NONE if first is None and second is None else f"{number(first)} {sign} {number(second)}"


def _worst(each: Worst) -> Entry:
    name = f"worst case of {len(each.attacks)} attacks" if each.attacks else "worst case"
    return Entry(name, share(each.accuracy.value), bounds(each.accuracy.interval), is_worst=True)
