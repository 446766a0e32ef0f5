"""The best discriminator of a finite game, found by a numerical search that knows no formula.

    maximise E_p log D(x) + E_q log(1 - D(x)) over D(x) in (0, 1)

The formulas are D*(x) = p(x) / (p(x) + q(x)), and the maximum is 2 JSD(p, q) - log 4.

Source: course notes, section 1.2 and problem 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize

from sparring.claims.computations.base import Computation
from sparring.claims.values import Value
from sparring.core.pieces import piece
from sparring.core.records import Count
from sparring.theory.finite_games import jsd

Floats = npt.NDArray[np.float64]


@piece("discriminator_search")
class DiscriminatorSearch(Computation):
    """Random distributions p and q; L-BFGS over the scores of D.

    Returns `distance`, the largest |D - p / (p + q)| of the D found; `best_other`, the largest payoff of `tries` other
    discriminators less the payoff of the formula; `divergence_error`, |maximum - (2 JSD - log 4)|; `at_equality`, the
    largest |maximum + log 4| for q = p; `lowest`, the maximum for q != p less that for q = p.

    Args:
        outcomes: of both distributions.
        tries: other discriminators, at random.
    """

    outcomes: Count = 12
    tries: Count = 10_000

    def compute(self, seed: int) -> Mapping[str, Value]:
        rng = np.random.default_rng(seed)
        p, q = rng.dirichlet(np.ones(self.outcomes), size=2)
        found = _search(p, q, rng)
        formula = p / (p + q)
        best = payoff(p, q, formula)
        others = payoff(p, q, rng.uniform(size=(self.tries, self.outcomes)))
        maximum, equal = payoff(p, q, found), payoff(p, p, _search(p, p, rng))
        divergence = float(jsd(torch.from_numpy(p), torch.from_numpy(q)))
        return {
            "distance": float(np.abs(found - formula).max()),
            "best_other": float(others.max() - best),
            "divergence_error": abs(float(maximum) - (2 * divergence - math.log(4))),
            "at_equality": abs(float(equal) + math.log(4)),
            "lowest": float(maximum - equal),
        }


def payoff(p: Floats, q: Floats, d: Floats) -> npt.NDArray[np.float64]:
    """E_p log D + E_q log(1 - D), `(..., outcomes)` to `(...)`."""
    value: Floats = (p * np.log(d) + q * np.log1p(-d)).sum(-1)
    return value


def _search(p: Floats, q: Floats, rng: np.random.Generator) -> Floats:
    """The D of the highest payoff, from random scores."""

    def loss(score: Floats) -> tuple[float, Floats]:
        d = 1 / (1 + np.exp(-score))
        value = (p * np.logaddexp(0, -score) + q * np.logaddexp(0, score)).sum()
        return float(value), q * d - p * (1 - d)

    result = minimize(loss, rng.normal(size=p.shape), jac=True, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-12})
    found: Floats = 1 / (1 + np.exp(-result.x))
    return found
