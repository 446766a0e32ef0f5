"""Lipschitz control of the discriminator."""

from sparring.lipschitz.base import Lipschitz, ScoreFunction, Unconstrained
from sparring.lipschitz.clip import Clip
from sparring.lipschitz.penalties import GradientPenalty

__all__ = ["Clip", "GradientPenalty", "Lipschitz", "ScoreFunction", "Unconstrained"]
