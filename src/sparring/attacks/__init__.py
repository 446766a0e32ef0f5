"""Attacks on a network's inputs, and what they aim at."""

from sparring.attacks.aims import Aim, Distance, Payoff
from sparring.attacks.base import Attack, Epsilon, LossFunction, batch_axes_of, in_scales, width_of
from sparring.attacks.criteria import (
    DLR,
    Criterion,
    CrossEntropy,
    Margin,
    TargetedCriterion,
    TargetedCrossEntropy,
    TargetedDLR,
)
from sparring.attacks.gradient import BIM, FGSM, PGD, AnyGradientAttack, Direct, GradientAttack
from sparring.attacks.repeated import Endurance, attack_until
from sparring.attacks.steps import (
    Autograd,
    Direction,
    Normalised,
    RandomDirection,
    RandomStart,
    Raw,
    Sign,
    Source,
    Start,
    ZeroStart,
)
from sparring.attacks.threats import Classify, Fooled, Threat, attempt, fool

__all__ = [
    "BIM",
    "DLR",
    "FGSM",
    "PGD",
    "Aim",
    "AnyGradientAttack",
    "Attack",
    "Autograd",
    "Classify",
    "Criterion",
    "CrossEntropy",
    "Direct",
    "Direction",
    "Distance",
    "Endurance",
    "Epsilon",
    "Fooled",
    "GradientAttack",
    "LossFunction",
    "Margin",
    "Normalised",
    "Payoff",
    "RandomDirection",
    "RandomStart",
    "Raw",
    "Sign",
    "Source",
    "Start",
    "TargetedCriterion",
    "TargetedCrossEntropy",
    "TargetedDLR",
    "Threat",
    "ZeroStart",
    "attack_until",
    "attempt",
    "batch_axes_of",
    "fool",
    "in_scales",
    "width_of",
]
