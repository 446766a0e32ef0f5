"""Random finite games: distributions, perturbations, adversaries, and the Q that is best for G."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.core.randomness import Rng
from sparring.theory.counterexamples import candidates
from sparring.theory.finite_games import FiniteGame, Mixture, distribution, on_scores, total_variation

OUTCOMES = 6
KNOTS = 9
"""Of a random perturbation, equally spaced; the middle one is 1/2."""
NEAREST = 0.01
"""The smallest total variation at which Q counts as another distribution."""
Psi = Callable[[Tensor], Tensor]


def drawn_distributions(rng: Rng, games: int, outcomes: int = OUTCOMES) -> Tensor:
    """Distributions `(games, outcomes)` without zeros, from nearly uniform to nearly one mode; fp64."""
    sharpness = 3 * rng.uniform((games, 1)).double()
    exponential = -torch.log1p(-rng.uniform((games, outcomes)).double())
    return distribution(exponential**sharpness + 1e-6)


@dataclass(frozen=True)
class Interpolated:
    """A perturbation that is linear between its values at equally spaced places of [0, 1]."""

    values: Tensor

    def __call__(self, theta: Tensor) -> Tensor:
        place = theta * (len(self.values) - 1)
        left = place.floor().clamp(0, len(self.values) - 2).long()
        share = place - left
        return (1 - share) * self.values[left] + share * self.values[left + 1]


def any_perturbation(rng: Rng) -> Psi:
    """A random function from [0, 1] to [0, 1], of no particular shape."""
    return Interpolated(rng.uniform((KNOTS,)).double())


def non_decreasing(rng: Rng) -> Psi:
    """A random non-decreasing function with psi(1/2) = 1/2: the first condition of theorem 5."""
    half = KNOTS // 2
    low = rng.uniform((half,), 0.0, 0.5).double().sort().values
    high = rng.uniform((half,), 0.5, 1.0).double().sort().values
    return Interpolated(torch.cat([low, torch.tensor([0.5], dtype=torch.float64), high]))


def between_half_and_flip(rng: Rng) -> Psi:
    """A random non-increasing function with psi(1/2) = 1/2 that deviates no more than the flip: the second condition.

    1/2 - psi(1/2 + t) and psi(1/2 - t) - 1/2 are non-decreasing in t and at most t.
    """
    half = KNOTS // 2
    most = torch.arange(1, half + 1, dtype=torch.float64) / (KNOTS - 1)
    falls, rises = (torch.minimum(rng.uniform((half,), 0.0, 0.5).double().sort().values, most) for _ in range(2))
    return Interpolated(torch.cat([0.5 + rises.flip(0), torch.tensor([0.5], dtype=torch.float64), 0.5 - falls]))


def flip(theta: Tensor) -> Tensor:
    """psi(theta) = 1 - theta."""
    return 1 - theta


def mostly_honest(rng: Rng, lies: list[Psi]) -> Mixture:
    """An adversary that is honest with a random probability above 1/2, and shares the rest among the lies."""
    honest = 0.5 + 0.02 + 0.46 * float(rng.uniform((1,)))
    shares = distribution(rng.uniform((len(lies),)).double() + 0.05) * (1 - honest)
    return (
        (honest, lambda score: score),
        *((float(share), on_scores(psi)) for share, psi in zip(shares, lies, strict=True)),
    )


@dataclass(frozen=True)
class LowestFound:
    """The other distributions that were tried as Q.

    Args:
        excess: V(P, Q) - V(P, P), `(tried)`.
        distance: total variation of P and Q, `(tried)`.
    """

    excess: Tensor
    distance: Tensor

    @property
    def lowest(self) -> float:
        """The smallest excess for each unit of total variation."""
        return float((self.excess / self.distance).min())

    @property
    def is_broken(self) -> bool:
        """Whether some Q is at least as good for G as P, beyond rounding."""
        return bool((self.excess <= 1e-12).any())


def try_all(
    game: FiniteGame, data: Tensor, rng: Rng, *, draws: int = 60, steps: int = 12, tries: int = 40
) -> LowestFound:
    """Try many Q: one mode, all modes but one, random ones, and then small changes of the best one.

    Args:
        game: whose V is searched for its lowest value.
        data: P, `(outcomes)`.
        rng: of the random ones.
        draws: random Q of the first search.
        steps: of the second search.
        tries: changes in each of its steps; the best of them is changed next.
    """
    reference = game.value(data, data)
    found: list[LowestFound] = []
    tried = candidates(data, rng=rng, draws=draws)
    for step in range(steps + 1):
        tried = tried[total_variation(data.expand_as(tried), tried) >= NEAREST]
        distance = total_variation(data.expand_as(tried), tried)
        excess = (game.value(data.expand_as(tried), tried) - reference).nan_to_num(torch.inf, torch.inf, -torch.inf)
        found.append(LowestFound(excess, distance))
        best = tried[int((excess / distance).argmin())]
        scale = 0.7**step
        changed = best * torch.exp(scale * rng.normal((tries, len(data))).double())
        tried = torch.cat([best[None], distribution(changed)])
    return LowestFound(torch.cat([each.excess for each in found]), torch.cat([each.distance for each in found]))
