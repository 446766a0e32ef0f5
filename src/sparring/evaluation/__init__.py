"""A trained run, or a theorem, in numbers."""

from sparring.evaluation.attack_endurance import attack_study, study_attacks
from sparring.evaluation.classifier_accuracy import evaluate_classifier
from sparring.evaluation.discriminator import GradientNorms, Steepness, gradient_norms, steepest_pairs, steepness
from sparring.evaluation.lipschitz_bound import lipschitz_bound
from sparring.evaluation.trained import evaluate, evaluate_discriminator, evaluate_generator, verify, write_samples

__all__ = [
    "GradientNorms",
    "Steepness",
    "attack_study",
    "evaluate",
    "evaluate_classifier",
    "evaluate_discriminator",
    "evaluate_generator",
    "gradient_norms",
    "lipschitz_bound",
    "steepest_pairs",
    "steepness",
    "study_attacks",
    "verify",
    "write_samples",
]
