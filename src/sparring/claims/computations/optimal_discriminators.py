"""Lemmas 1 and 4: G's objective under the flip in closed form, and the optimal D of an odd objective."""

from __future__ import annotations

import math

import torch

from sparring.claims.computations.base import Computation
from sparring.claims.computations.drawn_games import drawn_distributions
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count, Probability
from sparring.objectives import Linear, Log, Objective
from sparring.theory.finite_games import generator_objective, kl, lemma_1, optimal_log, optimal_odd

_LOG = Log().payoff


@piece("flipped_log")
class FlippedLog(Computation):
    """G's objective of the log under a flipping adversary, at the optimal D.

    - `difference`: the largest |closed form - objective| / (1 + |objective|) over the games; the closed form is
      2 JSD - log 4 - p (KL(P || Q) + KL(Q || P));
    - `at_data`: V at Q = P, the mean over the games;
    - `fall`: V at a Q that puts nearly all mass on one outcome and e^-k on each other one falls by p (1 - P_j) for each
      unit of k, j being that outcome. This is the measured fall between k = 100 and 200 over that number, the least of
      all games;
    - `divergence`: the rise of KL(P || Q) between k = 100 and 200 over 100 (1 - P_j), the least of all games;
    - `honest_excess`: the least V + log 4 without flips: at least 0.

    Args:
        flip: the probability of the flip.
        games: random pairs P, Q.

    Source: Xu, Li, Jegelka, lemma 1 and appendix A.1.
    """

    flip: Probability = 0.1
    games: Count = 200

    def compute(self, seed: int) -> dict[str, float]:
        rng = Rng.of(seed)
        p, q = drawn_distributions(rng, self.games), drawn_distributions(rng, self.games)
        adversary = ((1 - self.flip, lambda score: score), (self.flip, lambda score: -score))
        objective = generator_objective(p, q, optimal_log(p, q), _LOG, adversary)
        difference = (lemma_1(p, q, self.flip) - objective).abs() / (1 + objective.abs())
        at_data = generator_objective(p, p, optimal_log(p, p), _LOG, adversary)
        honest = generator_objective(p, q, optimal_log(p, q), _LOG, ((1.0, adversary[0][1]),)) + math.log(4)
        mode = rng.integers((self.games,), p.shape[-1])
        collapsed, apart = {}, {}
        for k in (100.0, 200.0):
            only = torch.full_like(p, math.exp(-k)).scatter(-1, mode[:, None], 1.0)
            apart[k] = kl(p, only)
            collapsed[k] = generator_objective(p, only, optimal_log(p, only), _LOG, adversary)
        missed = 1 - p.gather(-1, mode[:, None])[:, 0]
        fall = (collapsed[100.0] - collapsed[200.0]) / (100 * self.flip * missed)
        divergence = (apart[200.0] - apart[100.0]) / (100 * missed)
        return {
            "difference": float(difference.max()),
            "at_data": float(at_data.mean()),
            "fall": float(fall.min()),
            "divergence": float(divergence.min()),
            "honest_excess": float(honest.min()),
        }


@piece("odd_optimum")
class OddOptimum(Computation):
    """The best D of an objective, outcome by outcome: where P f_D(D) + Q f_D(1 - D) is largest on a grid of D.

    - `misplaced`: share of the outcomes with P and Q apart for which it is not 1 where P > Q and 0 where P < Q;
    - `advantage`: the most by which D's objective on the grid exceeds that of the D of lemma 4, over all games;
    - `tie_range`: the largest change of an outcome's part of the objective with D where P = Q.

    Args:
        objective: its `real` and `fake`.
        games: random pairs P, Q.
        grid: values of D tried, both ends among them.

    Source: Xu, Li, Jegelka, lemma 4.
    """

    objective: Objective = Linear()
    games: Count = 200
    grid: Count = 401

    def compute(self, seed: int) -> dict[str, float]:
        rng = Rng.of(seed)
        p, q = drawn_distributions(rng, self.games), drawn_distributions(rng, self.games)
        score = torch.logit(torch.linspace(0, 1, self.grid, dtype=torch.float64))
        parts = _times(p[..., None], self.objective.real(score)) + _times(q[..., None], self.objective.fake(score))
        best = parts.argmax(-1)
        lemma = torch.where(p > q, self.grid - 1, 0)
        theirs = optimal_odd(p, q)
        value = (_times(p, self.objective.real(theirs)) + _times(q, self.objective.fake(theirs))).sum(-1)
        tie = _times(p[..., None], self.objective.real(score)) + _times(p[..., None], self.objective.fake(score))
        return {
            "misplaced": float((best != lemma).double().mean()),
            "advantage": float((parts.max(-1).values.sum(-1) - value).max().clamp(max=1e9)),
            "tie_range": float((tie.max(-1).values - tie.min(-1).values).max().clamp(max=1e9)),
        }


def _times(weight: torch.Tensor, payoff: torch.Tensor) -> torch.Tensor:
    """weight x payoff, which is infinite at the ends of some objectives."""
    return (weight * payoff).nan_to_num(0.0, 1e300, -1e300)
