"""The bench: what this library takes, beside the published way and what the machine can do."""

from sparring.bench.case import Case, Line
from sparring.bench.cases import CASES, measure_cases
from sparring.bench.ceiling import Ceiling, measured_ceiling
from sparring.bench.tables import print_ceiling, print_lines, print_timings
from sparring.bench.variants import Timing, bench

__all__ = [
    "CASES",
    "Case",
    "Ceiling",
    "Line",
    "Timing",
    "bench",
    "measure_cases",
    "measured_ceiling",
    "print_ceiling",
    "print_lines",
    "print_timings",
]
