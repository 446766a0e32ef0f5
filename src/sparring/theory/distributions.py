"""Divergences between finite distributions, exactly: fp64, 0 log 0 = 0, infinite where the supports require it.

A distribution is a tensor whose last axis counts outcomes; leading axes count games.

Source: Xu, Li, Jegelka, section 2.
"""

from __future__ import annotations

import torch
from jaxtyping import Float64
from torch import Tensor

Distribution = Float64[Tensor, "*games outcomes"]
Values = Float64[Tensor, "*games"]


def distribution(weights: Float64[Tensor, "*games outcomes"]) -> Distribution:
    """Weights scaled to sum to 1.

    Args:
        weights: non-negative, not all zero, `(*games, outcomes)`.

    Raises:
        ValueError: a weight is negative or not finite, or all of them are zero.
    """
    total = weights.sum(-1, keepdim=True)
    if not bool((weights >= 0).all() and torch.isfinite(weights).all() and (total > 0).all()):
        raise ValueError("weights of a distribution should be finite, not negative and not all zero")
    return weights / total


def expectation(p: Distribution, values: Float64[Tensor, "*games outcomes"]) -> Values:
    """E_p[values], where an outcome of probability zero counts nothing, however infinite: 0 * inf = 0."""
    return torch.where(p > 0, p * values, torch.zeros_like(values)).sum(-1)


def kl(p: Distribution, q: Distribution) -> Values:
    """KL(p || q) = sum p log(p / q), in nats; infinite where q misses a part of p."""
    return expectation(p, p.log() - q.log())


def jsd(p: Distribution, q: Distribution) -> Values:
    """JSD(p || q) = (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2, in nats, at most log 2."""
    middle = (p + q) / 2
    return (kl(p, middle) + kl(q, middle)) / 2


def total_variation(p: Distribution, q: Distribution) -> Values:
    """TV(p, q) = sum |p - q| / 2, in [0, 1]."""
    return (p - q).abs().sum(-1) / 2
