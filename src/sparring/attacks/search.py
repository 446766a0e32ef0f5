"""Trials: attacks that move each sample to the worst of a few places, chosen without a look at the network.

No masked gradient can hide from them, and what chance alone does to a network is the floor of every other attack.
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


class Trials(Attack):
    """The place of the highest loss among those that a member proposes."""

    @final
    @torch.no_grad()
    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        best, highest = x, x.new_full(x.shape[: batch_axes_of(x, space)], -torch.inf)
        for place in self.places(x, space=space, rng=rng):
            confined = self.confine(x, place, space)
            value = loss(confined)
            better = value > highest
            best = torch.where(expand_like(better, x), confined, best)
            highest = torch.where(better, value, highest)
        return best

    @abstractmethod
    def places(self, x: Samples, *, space: Space, rng: Rng) -> Iterator[Samples]:
        """Where to try, `(*batch, *space.shape)` each; the family confines them."""


@piece("random_search")
class RandomSearch(Trials):
    """The point of highest loss among uniform draws from the ball; a single draw is random noise.

    Args:
        queries: draws.
    """

    epsilon: Epsilon = 8 / 255
    queries: Count = 200

    def places(self, x: Samples, *, space: Space, rng: Rng) -> Iterator[Samples]:
        radius, axes = self.epsilon * width_of(space), batch_axes_of(x, space)
        for _ in range(self.queries):
            yield x + self.ball.draw(x, radius, axes, rng=rng)


@piece("dimming")
class Dimming(Trials):
    """Night: intensities u in [0, 1] become (1 - s) u; of a few strengths s up to epsilon, and of none, the worst.

    As u <= 1, the change is at most epsilon in L-infinity; over another ball s is cut until it fits.

    Args:
        strengths: how many, equally spaced; each costs a query, and so does the sample as it is.

    Source: course notes, section 2.3, problem 4, item 5.
    """

    epsilon: Epsilon = 0.5
    strengths: Count = 10

    def check(self, space: Space) -> None:
        if space.bounds is None:
            raise UsageError(
                "attack: dimming makes images darker, and this data has no range",
                "attack it with random_search, or with a gradient attack",
            )

    def places(self, x: Samples, *, space: Space, rng: Rng) -> Iterator[Samples]:
        assert space.bounds is not None  # as checked
        intensity = (x - space.bounds.low).clamp(0, width_of(space))
        for number in range(self.strengths + 1):
            yield x - self.epsilon * number / self.strengths * intensity
