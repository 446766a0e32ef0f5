"""Penalties on the norm of D's gradient between real and generated samples.

Source: Gulrajani et al. 2017, equation (3); Petzka, Fischer, Lukovnikov 2018 (one-sided); Xu, Li, Jegelka,
appendix C.1, algorithm 1.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import NonNegative
from sparring.core.shapes import Samples, expand_like, sample_norm
from sparring.lipschitz.base import PerSamplePenalty, ScoreFunction, input_gradient


class NormPenalty(PerSamplePenalty):
    """A penalty on ||grad_x D(x)|| at points uniform on the segments between real and fake samples.

    The norm is sqrt(sum g^2 + 1e-24) in fp32 or fp64, whose second derivative is finite at a zero gradient.

    Args:
        weight: lambda; 10 in the papers.

    Raises:
        UsageError: D has batch statistics.
    """

    weight: NonNegative = 10.0

    @abstractmethod
    def cost(self, norm: Tensor) -> Tensor:
        """What a gradient of this norm costs, per sample and before the weight."""

    def penalty(self, score: ScoreFunction, real: Samples, fake: Samples, *, batch_axes: int, rng: Rng) -> Tensor:
        mix = expand_like(rng.uniform(real.shape[:batch_axes]), real)
        gradient = input_gradient(score, mix * real + (1 - mix) * fake)
        return self.weight * self.cost(sample_norm(gradient, batch_axes))


@piece("gradient_penalty")
class GradientPenalty(NormPenalty):
    """weight (||grad_x D(x)|| - 1)^2 between real and fake samples (WGAN-GP)."""

    def cost(self, norm: Tensor) -> Tensor:
        return (norm - 1).square()


@piece("lipschitz_penalty")
class LipschitzPenalty(NormPenalty):
    """weight max(0, ||grad_x D(x)|| - 1)^2 between real and fake samples (WGAN-LP)."""

    def cost(self, norm: Tensor) -> Tensor:
        return torch.relu(norm - 1).square()
