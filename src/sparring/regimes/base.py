"""Regime: which views of real and generated samples enter D's update, with which weight, in how many steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from sparring.attacks import Attack
from sparring.core.pieces import Piece
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, Scores, Space

Origin = Literal["real", "fake"]
"""Where a sample comes from."""


class View(NamedTuple):
    """One pair of batches that D is shown.

    Args:
        real: `(*batch, ...)`.
        fake: `(*batch, ...)`, detached from G.
        weight: of its payoff in the update.
        attacked: the sides that an attack has moved, for the log.
    """

    real: Samples
    fake: Samples
    weight: float = 1.0
    attacked: Sequence[Origin] = ()

    def of(self, side: Origin) -> Samples:
        """The samples of a side."""
        return self.real if side == "real" else self.fake


class Response(NamedTuple):
    """How D took one side of a view.

    Args:
        payoff: D's payoff g(D(x)) on every sample, `(*batch)`, detached.
        opposite: the mean of the same g over the other side's samples, `()` or `(replicas)`, detached.
        gradient: d payoff / d x of every sample, `(*batch, ...)`; None where it was not asked for.
    """

    payoff: Scores
    opposite: Tensor
    gradient: Samples | None


class Responses(NamedTuple):
    """How D took both sides."""

    real: Response
    fake: Response


@runtime_checkable
class DiscriminatorUpdate(Protocol):
    """What a regime is handed: D, ready to be shown views and to step."""

    @property
    def round(self) -> int:
        """Which round of the game this is, from 0."""

    @property
    def network(self) -> nn.Module:
        """D."""

    @property
    def space(self) -> Space:
        """The samples' shape and range."""

    @property
    def couples_samples(self) -> bool:
        """Whether D's score of a sample depends on the others of its batch."""

    def show(self, view: View, gradients: Sequence[Origin] = ()) -> Responses:
        """Add the gradient of D's weighted payoff on a view to its parameters' gradients.

        Args:
            view: what D sees.
            gradients: the sides whose samples' own gradients the same backward pass shall return.
        """

    def step(self) -> None:
        """One optimizer step up everything shown since the last one."""

    def payoff(self, side: Origin, samples: Samples, *, of: Origin | None = None) -> Scores:
        """D's payoff for taking samples for a side's, `(*batch)`, differentiable.

        Args:
            side: on whose terms D is paid.
            samples: `(*batch, ...)`.
            of: whose samples they are, with their classes; that side's own by default.
        """

    def rng(self, name: str) -> Rng:
        """A random stream of this turn."""

    def mean(self, values: Scores) -> Tensor:
        """The mean over the whole batch of each game, detached, where several processes hold a part of it each.

        Args:
            values: of this process's samples, `(*batch)`, without a graph.
        """

    def note(self, name: str, values: Tensor) -> None:
        """Add a number per sample `(*batch)` to the log's running means."""


class Regime(Piece, family="regime"):
    """Owns D's update within one round."""

    @abstractmethod
    def update(self, side: DiscriminatorUpdate, real: Samples, fake: Samples) -> None:
        """Update D on one batch.

        Args:
            side: D's side of the game.
            real: `(*batch, ...)`.
            fake: `(*batch, ...)`, detached from G.
        """

    @property
    def trained_against(self) -> Attack | None:
        """The attack that D is trained against, or None without one, or without a budget for it."""
        return None

    def remarks(self, *, couples_samples: bool) -> list[str]:
        """What a user should know before the first round.

        Args:
            couples_samples: whether D's score of a sample depends on the others of its batch.
        """
        return []
