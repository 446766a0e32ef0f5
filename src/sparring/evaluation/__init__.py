"""A trained run, or a theorem, in numbers."""

from sparring.evaluation.attack_study import attack_study, study_attacks
from sparring.evaluation.battery import battery
from sparring.evaluation.bounds import lipschitz_bound
from sparring.evaluation.checks import Check
from sparring.evaluation.classifiers import evaluate_classifier
from sparring.evaluation.foreign import Foreign, InputScale, target_of
from sparring.evaluation.heads import subjects_of_run
from sparring.evaluation.lipschitz import GradientNorms, Steepness, gradient_norms, steepest_pairs, steepness
from sparring.evaluation.robust_evaluation import (
    RobustOptions,
    evaluate_robustness,
    require_unflagged,
    robust_options,
)
from sparring.evaluation.robustness import Examined, examine, robustness
from sparring.evaluation.subjects import Subject, subject_of
from sparring.evaluation.theorems import (
    Coverage,
    TheoryRow,
    covered_by,
    perturbation_row,
    perturbation_table,
    theory_table,
)
from sparring.evaluation.trained import evaluate, evaluate_discriminator, evaluate_generator, verify, write_samples

__all__ = [
    "Check",
    "Coverage",
    "Examined",
    "Foreign",
    "GradientNorms",
    "InputScale",
    "RobustOptions",
    "Steepness",
    "Subject",
    "TheoryRow",
    "attack_study",
    "battery",
    "covered_by",
    "evaluate",
    "evaluate_classifier",
    "evaluate_discriminator",
    "evaluate_generator",
    "evaluate_robustness",
    "examine",
    "gradient_norms",
    "lipschitz_bound",
    "perturbation_row",
    "perturbation_table",
    "require_unflagged",
    "robust_options",
    "robustness",
    "steepest_pairs",
    "steepness",
    "study_attacks",
    "subject_of",
    "subjects_of_run",
    "target_of",
    "theory_table",
    "verify",
    "write_samples",
]
