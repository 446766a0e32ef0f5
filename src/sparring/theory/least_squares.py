"""The least squares GAN on finite spaces: its optimal D, and the divergence that G descends.

    D descends   E_P[(D - b)^2] / 2 + E_Q[(D - a)^2] / 2
    G descends   E_P[(D - c)^2] / 2 + E_Q[(D - c)^2] / 2

D is a real number here, not a probability. If b - c = 1 and b - a = 2, twice G's objective at the optimal D is
Pearson's chi-squared divergence of P + Q and 2 Q: zero for P = Q alone.

Source: Mao, Li, Xie, Lau, Wang, Smolley 2017, equations (2) to (8); course notes, section 1.3.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from sparring.theory.finite_games import Distribution, OutcomeScores, Values, expectation

Measure = Float64[Tensor, "*games outcomes"]
"""Non-negative weights of outcomes, of any total."""


class Labels(NamedTuple):
    """What D should say of generated samples (a) and of real ones (b), and what G wants it to say (c)."""

    a: float
    b: float
    c: float


PEARSON = Labels(a=-1.0, b=1.0, c=0.0)
"""The paper's equation (8): b - c = 1, b - a = 2. With its equation (9), a = 0, b = c = 1, it is no divergence."""


def pearson(p: Measure, q: Measure) -> Values:
    """chi^2(p || q) = sum (q - p)^2 / p; infinite where p misses a part of q. Source: Mao et al. 2017, equation (7)."""
    return torch.where((p > 0) | (q > 0), (q - p) ** 2 / p, torch.zeros_like(p)).sum(-1)


def optimal_least_squares(p: Distribution, q: Distribution, labels: Labels = PEARSON) -> OutcomeScores:
    """The optimal D, (b P + a Q) / (P + Q); 0 where neither has mass. Source: Mao et al. 2017, equation (5)."""
    both = p + q
    return torch.where(both > 0, (labels.b * p + labels.a * q) / both, torch.zeros_like(p))


def least_squares_discriminator(
    p: Distribution, q: Distribution, score: OutcomeScores, labels: Labels = PEARSON
) -> Values:
    """What D descends, E_P[(D - b)^2] / 2 + E_Q[(D - a)^2] / 2. Source: Mao et al. 2017, equation (2)."""
    return (expectation(p, (score - labels.b) ** 2) + expectation(q, (score - labels.a) ** 2)) / 2


def least_squares_generator(p: Distribution, q: Distribution, score: OutcomeScores, labels: Labels = PEARSON) -> Values:
    """What G descends, E_P[(D - c)^2] / 2 + E_Q[(D - c)^2] / 2. Source: Mao et al. 2017, equation (4).

    The expectation over real data is included: it depends on Q because the optimal D does.
    """
    return expectation(p + q, (score - labels.c) ** 2) / 2
