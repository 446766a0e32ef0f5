"""Search by values of the loss alone: every sample keeps the proposal of the highest loss.

Masked gradients do not affect these attacks. Random noise is a lower bound on the strength of every other attack.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import final

import torch
from pydantic import model_validator

from sparring.attacks.base import Attack, Epsilon, LossFunction, batch_axes_of, require_radius
from sparring.core.errors import UsageError
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import Samples, Space, expand_like

Propose = Callable[[int, Samples], Samples]
"""From the number of a proposal and the best one so far (at first the clean samples) to the samples to try."""


class BestProposal(Attack):
    """The proposal of the highest loss; members make the proposals."""

    @final
    @torch.no_grad()
    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        best, highest = x, x.new_full(x.shape[: batch_axes_of(x, space)], -torch.inf)
        propose = self.proposer(x, space=space, rng=rng)
        for number in range(self.proposals()):
            moved = propose(number, best)
            value = loss(moved)
            better = value > highest
            best, highest = torch.where(expand_like(better, x), moved, best), torch.where(better, value, highest)
        return best

    @abstractmethod
    def proposals(self) -> int:
        """How many; each costs a query."""

    @abstractmethod
    def proposer(self, x: Samples, *, space: Space, rng: Rng) -> Propose:
        """What makes the proposals around x, each within the budget and the range."""


@piece("random_search")
class RandomSearch(BestProposal):
    """The point of highest loss among uniform draws from the ball; a single draw is random noise.

    Args:
        queries: draws.
    """

    epsilon: Epsilon = 8 / 255
    queries: Count = 200

    _has_a_radius = model_validator(mode="after")(require_radius)

    def proposals(self) -> int:
        return self.queries

    def proposer(self, x: Samples, *, space: Space, rng: Rng) -> Propose:
        radius, axes = self.epsilon * space.width, batch_axes_of(x, space)
        return lambda _number, _best: self.confine(x, x + self.ball.draw(x, radius, axes, rng=rng), space)


@piece("dimming")
class Dimming(BestProposal):
    """Darkening: intensities u in [0, 1] become (1 - s) u, for the worst of a few strengths s in [0, epsilon].

    As u <= 1, the change is at most epsilon in L-infinity; in another ball it is projected.

    Args:
        strengths: how many above 0, equally spaced; each costs a query, and so does 0.

    Source: course notes, section 2.3, problem 4, item 5.
    """

    epsilon: Epsilon = 0.5
    strengths: Count = 10

    def check(self, space: Space) -> None:
        if space.bounds is None:
            raise UsageError(
                "attack: dimming makes images darker, and these data have no range",
                "use random_search or a gradient attack",
            )

    def proposals(self) -> int:
        return self.strengths + 1

    def proposer(self, x: Samples, *, space: Space, rng: Rng) -> Propose:
        assert space.bounds is not None  # see `check`
        intensity = (x - space.bounds[0]).clamp(0, space.width)
        return lambda number, _: self.confine(x, x - self.epsilon * number / self.strengths * intensity, space)
