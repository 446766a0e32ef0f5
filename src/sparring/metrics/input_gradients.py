"""The gradient of a score with respect to the samples: its size, its sparsity, and as a picture.

Source: AS-GAN, section 4.4, figures 1 and 5.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.core.shapes import Samples, Scores


def absolute_sum(gradient: Samples, batch_axes: int) -> Scores:
    """sum_i |g_i| of every sample: figure 5b.

    Args:
        gradient: `(*batch, ...)`.
        batch_axes: how many leading axes are batch.
    """
    total: Scores = gradient.flatten(batch_axes).abs().sum(-1)
    return total


def sparsity(gradient: Samples, batch_axes: int) -> Scores:
    """(sqrt(n) - ||g||_1 / ||g||_2) / (sqrt(n) - 1) of every sample, in [0, 1], whatever the scale of g.

    0 where all n entries have one size, zero included; 1 where a single one is not zero.

    Args:
        gradient: `(*batch, ...)`.
        batch_axes: how many leading axes are batch.

    Source: Hoyer 2004, Non-negative matrix factorization with sparseness constraints, section 3.1.
    """
    flat = gradient.flatten(batch_axes)
    # Relative to the largest entry, as the squares of small gradients would underflow.
    flat = flat / flat.abs().amax(-1, keepdim=True).clamp(min=torch.finfo(flat.dtype).tiny)
    root = math.sqrt(flat.shape[-1])
    total, euclidean = flat.abs().sum(-1), torch.linalg.vector_norm(flat, dim=-1)
    ratio = torch.where(euclidean > 0, total / euclidean.clamp(min=1.0), root)
    return ((root - ratio) / max(root - 1, 1e-12)).clamp(0, 1)


def picture(gradient: Float[Tensor, "*batch c h w"]) -> Float[Tensor, "*batch h w"]:
    """Figure 1: entries clipped to 3 standard deviations around their mean, absolute values averaged over channels."""
    mean = gradient.mean((-3, -2, -1), keepdim=True)
    reach = 3 * gradient.std((-3, -2, -1), correction=0, keepdim=True)
    return torch.maximum(torch.minimum(gradient, mean + reach), mean - reach).abs().mean(-3)
