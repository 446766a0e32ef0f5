"""Regime: which views of real and generated samples enter D's update, with which weight, in how many steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from sparring.pieces import Piece
from sparring.shapes import Samples


class View(NamedTuple):
    """One pair of batches that D is shown, and its weight in the payoff."""

    real: Samples
    fake: Samples
    weight: float = 1.0


@runtime_checkable
class DiscriminatorSide(Protocol):
    """What a regime is handed: D, ready to be updated."""

    def ascend(self, views: Sequence[View]) -> None:
        """One optimizer step on the weighted sum of D's payoffs for these views."""


class Regime(Piece, family="regime"):
    """Owns D's update within one round."""

    @abstractmethod
    def update(self, side: DiscriminatorSide, real: Samples, fake: Samples) -> None:
        """Update D on one batch.

        Args:
            side: D's side of the game.
            real: `(*batch, ...)`.
            fake: `(*batch, ...)`, detached from G.
        """
