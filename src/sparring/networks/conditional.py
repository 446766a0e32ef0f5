"""Batch normalisation that is told a class: the scale and shift behind the mean and variance are those of the class.

    y = gamma_c (x - mean) / sqrt(variance + eps) + beta_c

Both forms are called with features and one-hot classes; the plain one, for games without classes, does not use them.

Source: Dumoulin, Shlens, Kudlur 2017, equation (5); Miyato, Koyama 2018, appendix (conditional batch normalisation).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

EPS = 2e-5
"""Added to variances in the published generators."""

ToldNorm = Callable[[int], nn.Module]
"""Channels to a layer `(features (n, channels, height, width), one-hot classes (n, classes)) -> features`."""


class ConditionalBatchNorm(nn.Module):
    """gamma_c and beta_c are rows of two tables, which start from 1 and 0.

    Args:
        width: channels.
        classes: how many.
        momentum: the share of the newest batch in the running mean and variance.
    """

    def __init__(self, width: int, classes: int, momentum: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width, eps=EPS, momentum=momentum, affine=False)
        self.gamma = nn.Parameter(torch.ones(classes, width))
        self.beta = nn.Parameter(torch.zeros(classes, width))

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        gamma, beta = classes @ self.gamma, classes @ self.beta
        return torch.addcmul(beta[:, :, None, None], gamma[:, :, None, None], self.norm(x))


class UntoldBatchNorm(nn.Module):
    """One gamma and one beta for all samples.

    Args:
        width: channels.
        momentum: the share of the newest batch in the running mean and variance.
    """

    def __init__(self, width: int, momentum: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width, eps=EPS, momentum=momentum)

    def forward(self, x: Tensor, _classes: Tensor) -> Tensor:
        out: Tensor = self.norm(x)
        return out


def told_norm(classes: int | None, momentum: float) -> ToldNorm:
    """Layers for this many classes, or for a generator that is told none."""
    if classes is None:
        return lambda width: UntoldBatchNorm(width, momentum)
    return lambda width: ConditionalBatchNorm(width, classes, momentum)
