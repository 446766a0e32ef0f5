"""Finite games, exactly: divergences, optimal discriminators, and equation (3.4), the generator's objective.

P is the data's distribution, Q the generator's: fp64 tensors whose last axis counts outcomes; leading axes count games.
Divergences take 0 log 0 as 0, and are infinite where the supports require it. D is written as its score
s = logit D(x), in [-inf, inf] with both ends allowed, because 1 - D(x) is then -s without rounding; f is a function of
the score, and a perturbation a map from score to score. A psi on [0, 1] becomes one by `on_scores`.

Source: Xu, Li, Jegelka, sections 2 to 4 and appendix A.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

Distribution = Float64[Tensor, "*games outcomes"]
Values = Float64[Tensor, "*games"]
OutcomeScores = Float64[Tensor, "*games outcomes"]
ScoreFunction = Callable[[Tensor], Tensor]
"""A payoff f or a perturbation psi as a function of the score."""
Mixture = Sequence[tuple[float, ScoreFunction]]
"""Definition 2: perturbations with their probabilities, which sum to 1."""


def distribution(weights: Float64[Tensor, "*games outcomes"]) -> Distribution:
    """Weights, non-negative and not all zero, scaled to sum to 1."""
    return weights / weights.sum(-1, keepdim=True)


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


class FiniteGame(NamedTuple):
    """The generator's objective as a function of the two distributions.

    Args:
        discriminator: `(P, Q) -> scores` of the optimal D, `(*games, outcomes)`.
        f_g: the generator's function, of the score.
        adversary: perturbations on scores with their probabilities.
    """

    discriminator: Callable[[Distribution, Distribution], OutcomeScores]
    f_g: ScoreFunction
    adversary: Mixture

    def value(self, p: Distribution, q: Distribution) -> Values:
        """V(P, Q), the generator's objective at the optimal discriminator."""
        return generator_objective(p, q, self.discriminator(p, q), self.f_g, self.adversary)


def optimal_log(p: Distribution, q: Distribution) -> OutcomeScores:
    """The optimal D for f_D = log, D = P / (P + Q): the score log P - log Q; 0 where neither has mass.

    Source: Goodfellow et al. 2014, proposition 1.
    """
    return torch.where((p > 0) | (q > 0), p.log() - q.log(), torch.zeros_like(p))


def optimal_odd(p: Distribution, q: Distribution, tie: float = 0.5) -> OutcomeScores:
    """The optimal D for any f_D in H: 1 where P > Q, 0 where P < Q, anything where P = Q; as scores.

    Args:
        p: the data's distribution.
        q: the generator's distribution.
        tie: D(x) where P = Q, in [0, 1].

    Source: Xu, Li, Jegelka, lemma 4.
    """
    level = torch.logit(torch.tensor(tie, dtype=p.dtype, device=p.device))
    return torch.where(p == q, level, torch.sign(p - q) * math.inf)


def generator_objective(
    p: Distribution, q: Distribution, score: OutcomeScores, f_g: ScoreFunction, adversary: Mixture
) -> Values:
    """V = sum_i p_i (E_P[f_G(psi_i(D))] + E_Q[f_G(1 - psi_i(D))]), which the generator descends.

    The expectation over real data is included: it depends on Q because the optimal D does.

    Args:
        p: the data's distribution.
        q: the generator's distribution.
        score: D's score of every outcome.
        f_g: the generator's function, of the score.
        adversary: perturbations on scores with their probabilities.

    Source: Xu, Li, Jegelka, equation (3.4).
    """
    total = torch.zeros_like(expectation(p, score))
    for share, psi in adversary:
        perturbed = psi(score)
        # A perturbation of probability zero counts nothing, even where its value is infinite.
        total = total + (share * (expectation(p, f_g(perturbed)) + expectation(q, f_g(-perturbed))) if share > 0 else 0)
    return total


def discriminator_objective(p: Distribution, q: Distribution, score: OutcomeScores, f_d: ScoreFunction) -> Values:
    """E_P[f_D(D)] + E_Q[f_D(1 - D)], which D ascends without an adversary. Source: equation (3.1)."""
    return expectation(p, f_d(score)) + expectation(q, f_d(-score))


def lemma_1(p: Distribution, q: Distribution, flip: float) -> Values:
    """V of the log under a flipping adversary, in closed form: 2 JSD - log 4 - p (KL(P || Q) + KL(Q || P)).

    At P = Q it is -log 4 (appendix A; the text below the lemma says 0). The first term is at most log 4 and
    the last one has no bound: for any p > 0 the minimum over Q is -inf.

    Args:
        p: the data's distribution.
        q: the generator's distribution.
        flip: the probability of the flip.

    Example:
        A generator that nearly leaves out one of two outcomes is paid more, the less it makes of it:

        >>> p = distribution(torch.tensor([[1.0, 1.0]], dtype=torch.float64))
        >>> for share in (1.0, 1e-10, 1e-20):
        ...     q = distribution(torch.tensor([[1.0, share]], dtype=torch.float64))
        ...     print(f"{float(lemma_1(p, q, flip=0.1)):.2f}")
        -1.39
        -2.11
        -3.26

    Source: Xu, Li, Jegelka, lemma 1, equation (2.4).
    """
    loss = flip * (kl(p, q) + kl(q, p)) if flip > 0 else 0.0
    return 2 * jsd(p, q) - math.log(4) - loss


def on_scores(psi: Callable[[Tensor], Tensor]) -> ScoreFunction:
    """A psi on [0, 1] as a map on scores, logit(psi(sigmoid(s))).

    Exact at s = -inf, 0 and inf; near D = 1 the resolution is that of fp64, 1e-16.
    """
    return lambda score: torch.logit(psi(torch.sigmoid(score)))
