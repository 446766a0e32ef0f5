"""Penalties on the gradient of D's score: WGAN-GP, WGAN-LP, R1 and R2.

Source: Gulrajani et al. 2017, equation (3) (GP); Petzka, Fischer, Lukovnikov 2018 (LP); Mescheder, Geiger, Nowozin
2018, equation (9) (R1, of which R2 is the twin on generated samples); Xu, Li, Jegelka, appendix C.1, algorithm 1.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import torch
from torch import Tensor

from sparring.core.modules import input_gradient
from sparring.core.pieces import piece
from sparring.core.randomness import RandomSource, Rng
from sparring.core.records import NonNegative
from sparring.core.shapes import Samples, at_least_fp32, expand_like, sample_norm
from sparring.lipschitz.base import PerSamplePenalty, ScoreFunction


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
        """The penalty for a gradient of this norm, per sample and without the weight."""

    def penalty(
        self, score: ScoreFunction, real: Samples, fake: Samples, *, batch_axes: int, rng: RandomSource
    ) -> Tensor:
        mix = expand_like(Rng.of(rng, real.device).uniform(real.shape[:batch_axes]).to(real.device), real)
        gradient = input_gradient(score, mix * real + (1 - mix) * fake, create_graph=True).gradient
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


@piece("zero_centred")
class ZeroCentred(PerSamplePenalty):
    """weight/2 ||grad_x D(x)||^2 at real samples (R1), at fake samples (R2), or the sum of both.

    Args:
        weight: gamma; 10 in the paper.
        at: samples at which the gradient is taken.

    Raises:
        UsageError: D has batch statistics.
    """

    weight: NonNegative = 10.0
    at: Literal["real", "fake", "both"] = "real"

    def penalty(
        self, score: ScoreFunction, real: Samples, fake: Samples, *, batch_axes: int, rng: RandomSource
    ) -> Tensor:
        where = {"real": [real], "fake": [fake], "both": [real, fake]}[self.at]
        gradients = torch.stack([input_gradient(score, x, create_graph=True).gradient for x in where])
        squares = at_least_fp32(gradients).square().flatten(1 + batch_axes).sum(-1)
        return self.weight / 2 * squares.sum(0)
