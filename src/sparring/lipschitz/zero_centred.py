"""Zero-centred gradient penalties, R1 and R2.

Source: Mescheder, Geiger, Nowozin 2018, equation (9) for R1; R2 is its twin on generated samples.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import NonNegative
from sparring.core.shapes import Samples, at_least_fp32
from sparring.lipschitz.base import PerSamplePenalty, ScoreFunction, input_gradient


@piece("zero_centred")
class ZeroCentred(PerSamplePenalty):
    """weight/2 ||grad_x D(x)||^2 at real samples (R1), at fake samples (R2), or the sum of both.

    Args:
        weight: gamma; 10 in the paper.
        at: where the gradient is taken.

    Raises:
        UsageError: D has batch statistics.
    """

    weight: NonNegative = 10.0
    at: Literal["real", "fake", "both"] = "real"

    def penalty(self, score: ScoreFunction, real: Samples, fake: Samples, *, batch_axes: int, rng: Rng) -> Tensor:
        where = {"real": [real], "fake": [fake], "both": [real, fake]}[self.at]
        gradients = torch.stack([input_gradient(score, samples) for samples in where])
        squares = at_least_fp32(gradients).square().flatten(1 + batch_axes).sum(-1)
        return self.weight / 2 * squares.sum(0)
