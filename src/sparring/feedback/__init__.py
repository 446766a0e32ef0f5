"""The adversary on the channel from D to G."""

from sparring.core.pieces import import_members
from sparring.feedback.adversary import Adversary, Flipping, HonestFeedback, Lie, MixtureAdversary
from sparring.feedback.base import Feedback
from sparring.feedback.deliveries import Delivery, Expected, PerBatch, PerSample
from sparring.feedback.perturbations import (
    Constant,
    Flip,
    Function,
    Honest,
    Perturbation,
    Power,
    PowerMap,
    Sqrt,
    Square,
)

__all__ = [
    "Adversary",
    "Constant",
    "Delivery",
    "Expected",
    "Feedback",
    "Flip",
    "Flipping",
    "Function",
    "Honest",
    "HonestFeedback",
    "Lie",
    "MixtureAdversary",
    "PerBatch",
    "PerSample",
    "Perturbation",
    "Power",
    "PowerMap",
    "Sqrt",
    "Square",
]

import_members(__name__, __path__)
