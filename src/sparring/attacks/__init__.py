"""Attacks on a network's inputs, and what they aim at."""

from sparring.attacks.aims import Aim, Distance, Payoff
from sparring.attacks.base import Attack, Epsilon, LossFunction, batch_axes_of, in_scales, width_of
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
from sparring.attacks.still import NoAttack

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
    "Endurance",
    "Epsilon",
    "GradientAttack",
    "LossFunction",
    "NoAttack",
    "Normalised",
    "Payoff",
    "RandomDirection",
    "RandomStart",
    "Raw",
    "Sign",
    "Source",
    "Start",
    "ZeroStart",
    "attack_until",
    "batch_axes_of",
    "in_scales",
    "width_of",
]
