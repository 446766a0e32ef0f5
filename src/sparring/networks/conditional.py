"""Class-conditional batch normalisation: one scale and shift for each class.

    y = gamma_c (x - mean) / sqrt(variance + eps) + beta_c

Both layers take features and one-hot classes; the unconditional one ignores the classes.

Source: Dumoulin, Shlens, Kudlur 2017, equation (5); Miyato, Koyama 2018, appendix (conditional batch normalisation).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

EPS = 2e-5
"""Added to variances in the published generators."""

ClassNorm = Callable[[int], nn.Module]
"""Channels to a layer `(features (n, channels, height, width), one-hot classes (n, classes)) -> features`."""


class ConditionalBatchNorm(nn.Module):
    """Batch normalisation with gamma_c and beta_c as rows of two tables, initialised to 1 and 0.

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


class UnconditionalBatchNorm(nn.Module):
    """Batch normalisation with one gamma and one beta for all classes.

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


def class_norm(classes: int | None, momentum: float) -> ClassNorm:
    """Normalisations for this many classes, or unconditional ones for None."""
    if classes is None:
        return lambda width: UnconditionalBatchNorm(width, momentum)
    return lambda width: ConditionalBatchNorm(width, classes, momentum)
