"""Theorems 5 and 6 and definition 3: which Q is best for G under adversaries, on random finite games."""

from __future__ import annotations

from typing import Literal

import torch

from sparring.claims.computations.base import Computation
from sparring.claims.computations.drawn_games import (
    Psi,
    any_perturbation,
    between_half_and_flip,
    drawn_distributions,
    flip,
    mostly_honest,
    non_decreasing,
    try_all,
)
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count, Probability
from sparring.objectives import Linear, Objective
from sparring.theory.conditions import in_h
from sparring.theory.finite_games import FiniteGame, optimal_log, optimal_odd
from sparring.theory.theorem_coverage import f_generator

_LIES = 3
"""Perturbations of a random adversary, beside honesty."""


@piece("framework_1")
class Framework1(Computation):
    """D learns the log, G an objective, against adversaries that are mostly honest.

    - `broken`: share of the games with a Q other than P that is at least as good for G;
    - `lowest`: the least (V(Q) - V(P)) / total variation over all games and all Q tried.

    Args:
        objective: of G.
        lies: `covered` by theorem 5, each with one of its two conditions; or `overstated`, a flip that deviates more
            than the flip, with probability 0.4.
        games: random P and adversaries.

    Source: Xu, Li, Jegelka, theorem 5.
    """

    objective: Objective = Linear()
    lies: Literal["covered", "overstated"] = "covered"
    games: Count = 20

    def compute(self, seed: int) -> dict[str, float]:
        rng = Rng.of(seed)
        found = []
        for data in drawn_distributions(rng, self.games):
            if self.lies == "covered":
                adversary = mostly_honest(rng, [_covered(rng) for _ in range(_LIES)])
            else:
                adversary = ((0.6, lambda score: score), (0.4, lambda score: -10 * score))
            game = FiniteGame(optimal_log, f_generator(self.objective), adversary)
            found.append(try_all(game, data, rng))
        return {
            "broken": sum(each.is_broken for each in found) / self.games,
            "lowest": min(each.lowest for each in found),
        }


@piece("framework_2")
class Framework2(Computation):
    """D and G learn the same objective, against random adversaries that are mostly honest.

    A lie is a flip or a random function from [0, 1] to [0, 1]. For an objective in H theorem 6's proof bounds

        V(Q) - V(P) >= 2 (2 p_1 - 1) f(1) TV(P, Q),     p_1 the probability of honesty

    - `broken`: share of the games with a Q other than P that is at least as good for G;
    - `bound`: the least V(Q) - V(P) over the right side; none for an objective that is not in H.

    Args:
        objective: of D and G. One that is not in H has the optimal D of the log.
        games: random P and adversaries.

    Source: Xu, Li, Jegelka, theorem 6 and appendix A.4.
    """

    objective: Objective = Linear()
    games: Count = 20

    def compute(self, seed: int) -> dict[str, float | None]:
        rng = Rng.of(seed)
        is_covered = in_h(self.objective.real).holds
        f_g = f_generator(self.objective)
        top = float(f_g(torch.tensor(torch.inf, dtype=torch.float64)))
        broken, bounds = 0, []
        for data in drawn_distributions(rng, self.games):
            adversary = mostly_honest(rng, [flip, *(any_perturbation(rng) for _ in range(_LIES - 1))])
            found = try_all(FiniteGame(optimal_odd if is_covered else optimal_log, f_g, adversary), data, rng)
            broken += found.is_broken
            if is_covered:
                bounds.append(found.lowest / (2 * (2 * adversary[0][0] - 1) * top))
        return {"broken": broken / self.games, "bound": min(bounds) if bounds else None}


@piece("flip_majority")
class FlipMajority(Computation):
    """D and G learn an objective in H under a flipping adversary of any probability.

    - `broken`: share of the games with a Q other than P that is at least as good for G.

    Args:
        objective: in H.
        flip: the probability of the flip.
        games: random P.

    Source: Xu, Li, Jegelka, definition 3 and theorem 6.
    """

    objective: Objective = Linear()
    flip: Probability = 0.4
    games: Count = 20

    def compute(self, seed: int) -> dict[str, float]:
        rng = Rng.of(seed)
        adversary = ((1 - self.flip, lambda score: score), (self.flip, lambda score: -score))
        game = FiniteGame(optimal_odd, f_generator(self.objective), adversary)
        broken = sum(try_all(game, data, rng).is_broken for data in drawn_distributions(rng, self.games))
        return {"broken": broken / self.games}


def _covered(rng: Rng) -> Psi:
    return (non_decreasing, between_half_and_flip)[int(rng.integers((1,), 2))](rng)
