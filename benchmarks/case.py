"""Case: one comparison, and the lines of its table."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.ceiling import Ceiling, Precision
from benchmarks.timing import Work, billions, ratio_of, seconds_in_turns


@dataclass(frozen=True)
class Line:
    """The result of one candidate.

    Args:
        variant: its name.
        value: of one unit of work, the median over turns; None where it was not measured.
        unit: of the value.
        times: how many times as fast as the reference, the median over turns; None without a reference.
        low, high: quartiles of `times`.
        multiply_adds: of a unit of work, in billions.
        ceiling: multiply-adds a second, as a share of what the machine does on products alone.
        note: what a reader should know.
    """

    variant: str
    value: float | None
    unit: str
    times: float | None = None
    low: float | None = None
    high: float | None = None
    multiply_adds: float = 0.0
    ceiling: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Case:
    """One comparison.

    Args:
        name: as --only takes it.
        about: one line.
        measure: from the machine's ceiling to a line per candidate; the reference comes first.
    """

    name: str
    about: str
    measure: Callable[[Ceiling], list[Line]]


@dataclass(frozen=True)
class Candidate:
    """One way to do the work.

    Args:
        variant: its name.
        work: one unit of it.
        precision: of its products.
    """

    variant: str
    work: Work
    precision: Precision = "fp32"


def compared(candidates: Sequence[Candidate], ceiling: Ceiling, *, unit: str, turns: int = 5) -> list[Line]:
    """Time candidates in turns, against the first of them.

    Args:
        candidates: each is done once before it is timed, to count its multiply-adds.
        ceiling: of the machine.
        unit: of one run, in seconds.
        turns: how often each is run.
    """
    counted = [billions(each.work) for each in candidates]
    seconds = seconds_in_turns([each.work for each in candidates], turns)
    lines = []
    for candidate, work, spent in zip(candidates, counted, seconds, strict=True):
        ratio, middle = ratio_of(seconds[0], spent), statistics.median(spent)
        share = work / middle / ceiling[candidate.precision] if work else None
        lines.append(Line(candidate.variant, middle, unit, *ratio, multiply_adds=work, ceiling=share))
    return lines
