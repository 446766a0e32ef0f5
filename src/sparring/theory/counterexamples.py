"""Search for counterexamples to the theorems: P_G other than P_data at which G's objective is no worse.

Candidates are structured (one mode, all modes but one, the data reversed) and random, each also blended with the data.

Source: Xu, Li, Jegelka, the text below lemma 1 (mode collapse) and theorems 5 and 6.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from sparring.core.randomness import Rng
from sparring.theory.finite_games import Distribution, FiniteGame, distribution, total_variation

BLENDS = (1.0, 0.6, 0.3, 0.1, 0.03)
"""Weight of a candidate in its blend with the data: a wrong sign may show only where D is near 1/2."""
ROUNDING = 1e-12
_DISTANCE = 0.01
"""The smallest total variation that counts as another distribution."""


class Deviation(NamedTuple):
    """The P_G with the lowest V among all tried that are not P_data.

    Args:
        at: P_G.
        value: V at P_G.
        reference: V at P_G = P_data.
    """

    at: tuple[float, ...]
    value: float
    reference: float

    @property
    def excess(self) -> float:
        """V(P_G) - V(P_data): positive for a robust game."""
        return self.value - self.reference

    @property
    def breaks(self) -> bool:
        """Whether P_G is at least as good for G as P_data, up to rounding."""
        return self.excess <= ROUNDING


def candidates(data: Float64[Tensor, " outcomes"], *, rng: Rng, draws: int) -> Float64[Tensor, "games outcomes"]:
    """Distributions to try as P_G.

    Args:
        data: P_data, `(outcomes)`.
        rng: for the random ones.
        draws: how many random ones, before blending.
    """
    outcomes = len(data)
    modes = torch.eye(outcomes, dtype=torch.float64)
    without = data * (1 - modes)
    without = without[without.sum(-1) > 0]
    # Exponentials raised to a power: from nearly uniform to nearly one mode.
    sharpness = 4 * rng.uniform((draws, 1)).double()
    weights = (-torch.log1p(-rng.uniform((draws, outcomes)).double())) ** sharpness
    kept = weights * (rng.uniform((draws, outcomes)) < 0.8) + 1e-3 * modes[rng.integers((draws,), outcomes)]
    corners = torch.cat([modes, distribution(without), data.flip(0)[None], distribution(kept)])
    return torch.cat([data + blend * (corners - data) for blend in BLENDS]).clamp(min=0)


def search(game: FiniteGame, data: Float64[Tensor, " outcomes"], *, rng: Rng, draws: int = 200) -> Deviation:
    """The P_G at least 0.01 in total variation from the data where V(P_G) - V(P_data) is smallest.

    Args:
        game: the optimal discriminator, f_G and the adversary.
        data: P_data, `(outcomes)`, of at least two outcomes.
        rng: for the random candidates.
        draws: random candidates.
    """
    tried: Distribution = candidates(data, rng=rng, draws=draws)
    tried = tried[total_variation(data.expand_as(tried), tried) >= _DISTANCE]
    values = game.value(data.expand_as(tried), tried)
    index = int(values.nan_to_num(torch.inf, torch.inf, -torch.inf).argmin())
    return Deviation(tuple(tried[index].tolist()), float(values[index]), float(game.value(data, data)))


def overstated_flip(theta: Tensor) -> Tensor:
    """psi(theta) = sigmoid(-10 logit(theta)): an exaggerated flip that violates Theorem 5's conditions.

    It does not increase and keeps 1/2, but psi(theta) + theta < 1 just above 1/2, so with probability 0.4 it
    outweighs honest feedback under Framework 1. At 0 and 1, the only outputs of Framework 2's D, it is a flip.
    """
    return torch.sigmoid(-10 * torch.logit(theta))
