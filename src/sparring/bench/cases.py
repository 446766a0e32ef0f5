"""All cases of the bench by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sparring.bench import adversaries, games, gpu, host, packed
from sparring.bench.case import Case, Line
from sparring.bench.ceiling import Ceiling, measured_ceiling
from sparring.core.heap import keep_freed_memory

_ALL = (*games.CASES, *packed.CASES, *adversaries.CASES, *host.CASES, *gpu.CASES)
CASES: Mapping[str, Case] = {case.name: case for case in _ALL}


def measure_cases(
    names: tuple[str, ...] = (), *, ceiling: Ceiling | None = None, played: Callable[[int, int], None] | None = None
) -> Iterator[tuple[Case, list[Line]]]:
    """Measure cases, one after the other.

    Args:
        names: of some; all without.
        ceiling: of the machine; measured first without.
        played: told after every case.
    """
    keep_freed_memory()  # for the published ways too
    chosen, known = [CASES[name] for name in names or CASES], ceiling or measured_ceiling()
    for number, case in enumerate(chosen):
        yield case, case.measure(known)
        if played:
            played(number + 1, len(chosen))
