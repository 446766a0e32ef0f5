"""A trained run, or a theorem, in numbers."""

from sparring.evaluation.theorems import (
    Coverage,
    TheoryRow,
    covered_by,
    perturbation_row,
    perturbation_table,
    theory_table,
)
from sparring.evaluation.trained import evaluate_generator, verify, write_samples

__all__ = [
    "Coverage",
    "TheoryRow",
    "covered_by",
    "evaluate_generator",
    "perturbation_row",
    "perturbation_table",
    "theory_table",
    "verify",
    "write_samples",
]
