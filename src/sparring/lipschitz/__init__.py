"""Lipschitz control of the discriminator."""

from sparring.core.pieces import import_members
from sparring.lipschitz.adversarial_penalty import AdversarialLipschitzPenalty
from sparring.lipschitz.base import Lipschitz, PerSamplePenalty, ScoreFunction, Unconstrained
from sparring.lipschitz.clip import Clip
from sparring.lipschitz.gradient_penalties import GradientPenalty, LipschitzPenalty, ZeroCentred
from sparring.lipschitz.noise import InstanceNoise
from sparring.lipschitz.spectral import SpectralNorm
from sparring.lipschitz.together import Together

__all__ = [
    "AdversarialLipschitzPenalty",
    "Clip",
    "GradientPenalty",
    "InstanceNoise",
    "Lipschitz",
    "LipschitzPenalty",
    "PerSamplePenalty",
    "ScoreFunction",
    "SpectralNorm",
    "Together",
    "Unconstrained",
    "ZeroCentred",
]

import_members(__name__, __path__)
