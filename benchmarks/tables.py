"""Results as tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.case import Case, Line
from benchmarks.ceiling import Ceiling
from sparring.cli.terminal import print_table
from sparring.core.errors import print_text


def print_ceiling(ceiling: Ceiling) -> None:
    """The rates of the machine."""
    rates = ", ".join(f"{rate:,.0f} in {precision}" for precision, rate in ceiling.items())
    print_text(f"ceiling of this machine, in 10^9 multiply-adds a second: {rates}")


def print_lines(case: Case, lines: Sequence[Line]) -> None:
    """The lines of a case."""
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
