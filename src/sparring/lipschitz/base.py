"""Lipschitz control of the discriminator: a constraint after each step, or a penalty on its payoff."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sparring.pieces import Piece, piece
from sparring.randomness import Rng
from sparring.shapes import Samples, Scores

ScoreFunction = Callable[[Samples], Scores]


class Lipschitz(Piece, family="lipschitz"):
    """A control of D. A member overrides what it needs; the rest does nothing."""

    def check(self, discriminator: nn.Module) -> None:
        """Refuse a network that the control is not defined for.

        Raises:
            UsageError: names the layer that stands in the way.
        """

    def penalty(self, score: ScoreFunction, real: Samples, fake: Samples, *, batch_axes: int, rng: Rng) -> Tensor:
        """What D pays per sample, weight included; broadcasts against `(*batch)`.

        Args:
            score: D's score of samples, `(*batch, ...) -> (*batch)`.
            real: `(*batch, ...)`.
            fake: `(*batch, ...)`, detached from G.
            batch_axes: how many leading axes are batch: 1, or 2 with replicas.
            rng: the control's own random stream.
        """
        return torch.zeros((), device=real.device)

    def constrain(self, discriminator: nn.Module) -> None:
        """Project D's parameters, in place."""


@piece("none")
class Unconstrained(Lipschitz):
    """D is left as it is."""
