"""What D and G are paid, as functions of D's score."""

from sparring.objectives.base import Objective, ZeroSum, is_increasing, is_odd
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
    "Cubic",
    "Erf",
    "Hinge",
    "LeastSquares",
    "Linear",
    "Log",
    "NonSaturating",
    "Objective",
    "OnProbability",
    "PiecewiseLinear",
    "Sine",
    "SquareRoot",
    "Tanh",
    "Wasserstein",
    "ZeroSum",
    "is_increasing",
    "is_odd",
]
