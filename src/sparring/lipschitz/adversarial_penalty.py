"""The adversarial Lipschitz penalty: the difference quotient of D in the direction where it is largest.

Source: Terjék 2020; the direction is that of virtual adversarial training (Miyato et al. 2018, section 3.3).
Defaults are those of the published code, which draws the first direction from a cube; here it is isotropic.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field, field_validator
from torch import Tensor

from sparring.core.pieces import piece
from sparring.core.randomness import RandomSource, Rng
from sparring.core.records import Count, NonNegative, Positive
from sparring.core.shapes import Samples, Scores, expand_like, sample_norm
from sparring.lipschitz.base import PerSamplePenalty, ScoreFunction

Pair = Annotated[tuple[float, float], Field(strict=False)]


@piece("adversarial_lipschitz_penalty")
class AdversarialLipschitzPenalty(PerSamplePenalty):
    """weight max(0, |D(x) - D(x + r)| / ||r|| - 1)^2, a mean over real and fake x, r adversarial (WGAN-ALP).

    r = epsilon d with d a unit vector: from an isotropic one, each power iteration takes
    d <- grad_d |D(x) - D(x + xi d)|, normalised. Where D is locally constant, d and the penalty are 0.

    Args:
        weight: lambda.
        epsilon: the range that ||r|| is drawn from uniformly, anew for every sample, in units of the data.
        xi: how far from x the gradient is taken, in the same units.
        power_iterations: how often the direction is improved; each costs a forward and a backward pass.
        bounds: the range that perturbed samples are clipped to, which shortens r; [-1, 1] for images in the published
            code. None does not clip.

    Raises:
        UsageError: D has batch statistics.
    """

    weight: NonNegative = 10.0
    epsilon: Pair = (0.1, 10.0)
    xi: Positive = 10.0
    power_iterations: Count = 1
    bounds: Pair | None = None

    @field_validator("epsilon")
    @classmethod
    def _a_range(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 < value[0] <= value[1]:
            raise ValueError("should be two positive numbers, the smaller one first")
        return value

    @property
    def needs_second_derivatives(self) -> bool:
        return False

    def penalty(
        self, score: ScoreFunction, real: Samples, fake: Samples, *, batch_axes: int, rng: RandomSource
    ) -> Tensor:
        # Drawn for real and fake samples apart: with several processes each draw is a part of a whole batch.
        rng = Rng.of(rng, real.device)
        starts = [rng.normal(side.shape).to(side) for side in (real, fake)]
        lengths = [rng.uniform(side.shape[:batch_axes], *self.epsilon).to(side.device) for side in (real, fake)]
        samples, start, length = (torch.cat(two, dim=batch_axes - 1) for two in ([real, fake], starts, lengths))
        samples, length = samples.detach(), expand_like(length, samples)
        here = score(samples)
        direction = self.direction(score, samples, here.detach(), start, batch_axes=batch_axes)
        there = self._inside(samples + length * direction)
        slope = (score(there) - here).abs() / sample_norm(there - samples, batch_axes)
        at_real, at_fake = torch.relu(slope - 1).square().chunk(2, dim=-1)
        return self.weight / 2 * (at_real + at_fake)

    def direction(
        self, score: ScoreFunction, samples: Samples, here: Scores, start: Samples, *, batch_axes: int
    ) -> Samples:
        """The unit vector of every sample along which D changes most, after the power iterations.

        Args:
            score: D's score of samples.
            samples: `(*batch, ...)`.
            here: their scores `(*batch)`, detached.
            start: the first directions, of any length.
            batch_axes: how many leading axes are batch.
        """
        direction = _unit(start, batch_axes)
        for _ in range(self.power_iterations):
            direction.requires_grad_()
            change = (score(self._inside(samples + self.xi * direction)) - here).abs().sum()
            (gradient,) = torch.autograd.grad(change, direction)
            direction = _unit(gradient, batch_axes)
        return direction

    def _inside(self, samples: Samples) -> Samples:
        return samples if self.bounds is None else samples.clamp(*self.bounds)


def _unit(x: Tensor, batch_axes: int) -> Tensor:
    return x / expand_like(sample_norm(x, batch_axes), x)
