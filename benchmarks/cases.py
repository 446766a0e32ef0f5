"""All cases by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks import autoattack, frames, games, host, packed, pgd
from benchmarks.case import Case, Line
from benchmarks.ceiling import Ceiling
from sparring.runs.environment import keep_freed_memory

_ALL = (*games.CASES, *packed.CASES, *pgd.CASES, *autoattack.CASES, *host.CASES, *frames.CASES)
CASES: Mapping[str, Case] = {case.name: case for case in _ALL}


def measure_cases(names: Sequence[str], ceiling: Ceiling) -> Iterator[tuple[Case, list[Line]]]:
    """Measure cases, one after the other.

    Args:
        names: keys of `CASES`.
        ceiling: of the machine.
    """
    keep_freed_memory()  # for the published ways too
    for name in names:
        yield CASES[name], CASES[name].measure(ceiling)
