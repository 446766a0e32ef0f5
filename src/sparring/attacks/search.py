"""Search without feedback: attacks that move each sample to the worst of a few proposals made blindly.

Masked gradients do not affect them, and random noise is a lower bound on the strength of every other attack.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import final

import torch

from sparring.attacks.base import Attack, Epsilon, LossFunction, batch_axes_of, width_of
from sparring.core.errors import UsageError
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import Samples, Space, expand_like


class WorstProposal(Attack):
    """The proposal of the highest loss; members make the proposals."""

    @final
    @torch.no_grad()
    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        best, highest = x, x.new_full(x.shape[: batch_axes_of(x, space)], -torch.inf)
        for proposal in self.proposals(x, space=space, rng=rng):
            confined = self.confine(x, proposal, space)
            value = loss(confined)
            better = value > highest
            best = torch.where(expand_like(better, x), confined, best)
            highest = torch.where(better, value, highest)
        return best

    @abstractmethod
    def proposals(self, x: Samples, *, space: Space, rng: Rng) -> Iterator[Samples]:
        """Samples to try, `(*batch, *space.shape)` each, before projection."""


@piece("random_search")
class RandomSearch(WorstProposal):
    """The point of highest loss among uniform draws from the ball; a single draw is random noise.

    Args:
        queries: draws.
    """

    epsilon: Epsilon = 8 / 255
    queries: Count = 200

    def proposals(self, x: Samples, *, space: Space, rng: Rng) -> Iterator[Samples]:
        radius, axes = self.epsilon * width_of(space), batch_axes_of(x, space)
        for _ in range(self.queries):
            yield x + self.ball.draw(x, radius, axes, rng=rng)


@piece("dimming")
class Dimming(WorstProposal):
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

    def proposals(self, x: Samples, *, space: Space, rng: Rng) -> Iterator[Samples]:
        assert space.bounds is not None  # see `check`
        intensity = (x - space.bounds[0]).clamp(0, width_of(space))
        for number in range(self.strengths + 1):
            yield x - self.epsilon * number / self.strengths * intensity
