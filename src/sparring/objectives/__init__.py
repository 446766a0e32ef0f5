"""What D and G are paid, as functions of D's score and of its class logits."""

from sparring.core.pieces import import_members
from sparring.objectives.base import Objective, ZeroSum, is_increasing, is_odd
from sparring.objectives.classes import (
    AuxiliaryClasses,
    ClassLoss,
    NoClasses,
    Player,
    PublishedAuxiliaryClasses,
    PublishedSplitClasses,
    SplitClasses,
    Weights,
    log_likelihood,
)
from sparring.objectives.classic import Apart, Hinge, LeastSquares, Log, NonSaturating
from sparring.objectives.odd import (
    Cubic,
    Erf,
    Linear,
    OnProbability,
    PiecewiseLinear,
    Sine,
    SquareRoot,
    Tanh,
    Wasserstein,
)

__all__ = [
    "Apart",
    "AuxiliaryClasses",
    "ClassLoss",
    "Cubic",
    "Erf",
    "Hinge",
    "LeastSquares",
    "Linear",
    "Log",
    "NoClasses",
    "NonSaturating",
    "Objective",
    "OnProbability",
    "PiecewiseLinear",
    "Player",
    "PublishedAuxiliaryClasses",
    "PublishedSplitClasses",
    "Sine",
    "SplitClasses",
    "SquareRoot",
    "Tanh",
    "Wasserstein",
    "Weights",
    "ZeroSum",
    "is_increasing",
    "is_odd",
    "log_likelihood",
]

import_members(__name__, __path__)
