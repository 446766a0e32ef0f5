"""Attacks on a network's inputs, and what they aim at."""

from sparring.attacks.aims import Aim, Distance, Payoff
from sparring.attacks.auto_pgd import APGD
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
from sparring.attacks.estimators import NES, SPSA, Autograd, FiniteDifferences, RandomDirection, Source
from sparring.attacks.gradient import BIM, FGSM, PGD, PGDL2, AnyGradientAttack, Direct, GradientAttack
from sparring.attacks.search import Dimming, RandomSearch
from sparring.attacks.square import SquareAttack, SquareL2, SquareLinf
from sparring.attacks.steps import Direction, Normalised, RandomStart, Raw, Sign, Start, ZeroStart
from sparring.attacks.still import NoAttack
from sparring.attacks.threats import Classify, Fooled, Threat, attempt, fool

__all__ = [
    "APGD",
    "BIM",
    "DLR",
    "FGSM",
    "NES",
    "PGD",
    "PGDL2",
    "SPSA",
    "Aim",
    "AnyGradientAttack",
    "Attack",
    "Autograd",
    "Classify",
    "Criterion",
    "CrossEntropy",
    "Dimming",
    "Direct",
    "Direction",
    "Distance",
    "Epsilon",
    "FiniteDifferences",
    "Fooled",
    "GradientAttack",
    "LossFunction",
    "Margin",
    "NoAttack",
    "Normalised",
    "Payoff",
    "RandomDirection",
    "RandomSearch",
    "RandomStart",
    "Raw",
    "Sign",
    "Source",
    "SquareAttack",
    "SquareL2",
    "SquareLinf",
    "Start",
    "TargetedCriterion",
    "TargetedCrossEntropy",
    "TargetedDLR",
    "Threat",
    "ZeroStart",
    "attempt",
    "batch_axes_of",
    "fool",
    "in_scales",
    "width_of",
]
