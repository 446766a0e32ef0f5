"""Attacks on a network's inputs, and the losses that they ascend."""

from sparring.attacks.auto_pgd import APGD
from sparring.attacks.base import (
    Attack,
    Epsilon,
    LossFunction,
    TrainingAttack,
    batch_axes_of,
    in_scales,
    scales,
    short_size,
)
from sparring.attacks.estimators import (
    NES,
    SPSA,
    Autograd,
    FiniteDifferences,
    GradientEstimator,
    RandomDirection,
    WhiteBox,
)
from sparring.attacks.fab import FAB
from sparring.attacks.gradient import (
    BIM,
    FGSM,
    PGD,
    PGDL2,
    Direct,
    Direction,
    GradientAttack,
    Normalised,
    Sign,
    Start,
    ZeroStart,
    main_attack,
    pgd_within,
)
from sparring.attacks.losses import (
    DLR,
    Aim,
    Criterion,
    CrossEntropy,
    Distance,
    Margin,
    Payoff,
    TargetedCrossEntropy,
    TargetedDLR,
)
from sparring.attacks.search import Dimming, RandomSearch
from sparring.attacks.square import SquareL2, SquareLinf
from sparring.attacks.threats import Classify, Fooled, Threat, attempt, fool
from sparring.core.pieces import import_members

__all__ = [
    "APGD",
    "BIM",
    "DLR",
    "FAB",
    "FGSM",
    "NES",
    "PGD",
    "PGDL2",
    "SPSA",
    "Aim",
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
    "GradientEstimator",
    "LossFunction",
    "Margin",
    "Normalised",
    "Payoff",
    "RandomDirection",
    "RandomSearch",
    "Sign",
    "SquareL2",
    "SquareLinf",
    "Start",
    "TargetedCrossEntropy",
    "TargetedDLR",
    "Threat",
    "TrainingAttack",
    "WhiteBox",
    "ZeroStart",
    "attempt",
    "batch_axes_of",
    "fool",
    "in_scales",
    "main_attack",
    "pgd_within",
    "scales",
    "short_size",
]

import_members(__name__, __path__)
