"""A trained run, or a theorem, in numbers."""

from sparring.evaluation.attack_study import attack_study, study_attacks
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
    "attack_study",
    "covered_by",
    "evaluate_generator",
    "perturbation_row",
    "perturbation_table",
    "study_attacks",
    "theory_table",
    "verify",
    "write_samples",
]
