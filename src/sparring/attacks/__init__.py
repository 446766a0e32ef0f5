"""Attacks on a network's inputs, and what they aim at."""

from sparring.attacks.aims import Aim, Distance, Payoff
from sparring.attacks.base import Attack, Epsilon, LossFunction, batch_axes_of, width_of
from sparring.attacks.gradient import BIM, FGSM, PGD, AnyGradientAttack, Direct, GradientAttack
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

__all__ = [
    "BIM",
    "FGSM",
    "PGD",
    "Aim",
    "AnyGradientAttack",
    "Attack",
    "Autograd",
    "Direct",
    "Direction",
    "Distance",
    "Epsilon",
    "GradientAttack",
    "LossFunction",
    "Normalised",
    "Payoff",
    "RandomDirection",
    "RandomStart",
    "Raw",
    "Sign",
    "Source",
    "Start",
    "ZeroStart",
    "batch_axes_of",
    "width_of",
]
