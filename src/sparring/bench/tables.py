"""What the bench measured, as tables for people."""

from __future__ import annotations

from collections.abc import Sequence

from sparring.bench.case import Case, Line
from sparring.bench.ceiling import Ceiling
from sparring.bench.variants import Timing
from sparring.cli.terminal import print_table
from sparring.core.errors import say


def print_timings(timings: Sequence[Timing]) -> None:
    """What `bench` measured."""
    rows = [
        [
            timing.variant,
            f"{1 / timing.seconds:,.1f}",
            f"{timing.relative:.2f}",
            f"{timing.low:.2f} .. {timing.high:.2f}",
            f"{timing.multiply_adds:,.3f}",
            f"{timings[0].multiply_adds / timing.multiply_adds:.2f}",
        ]
        for timing in timings
    ]
    columns = ["variant", "rounds a second", "relative", "quartiles", "10^9 multiply-adds a round", "relative by those"]
    print_table("", columns, rows)


def print_ceiling(ceiling: Ceiling) -> None:
    """What the machine does on products alone."""
    rates = ", ".join(f"{rate:,.0f} in {precision}" for precision, rate in ceiling.items())
    say(f"the machine, now: 10^9 multiply-adds a second: {rates}")


def print_lines(case: Case, lines: Sequence[Line]) -> None:
    """What a case of `bench` found."""
    rows = [
        [
            line.variant,
            line.note if line.value is None else f"{line.value:.3g} {line.unit}",
            "" if line.times is None else f"{line.times:.2f}",
            "" if line.times is None else f"{line.low:.2f} .. {line.high:.2f}",
            f"{line.multiply_adds:,.2f}" if line.multiply_adds else "",
            "" if line.ceiling is None else f"{line.ceiling:.0%}",
        ]
        for line in lines
    ]
    columns = ["variant", "time", "x times the first", "quartiles", "10^9 multiply-adds", "of the ceiling"]
    print_table(f"{case.name}: {case.about}", columns, rows)
