"""Regime: which views of real and generated samples enter D's update, with which weight, in how many steps."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from sparring.attacks import Attack
from sparring.core.pieces import Piece
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, Scores, Space

Origin = Literal["real", "fake"]
"""Where a sample comes from."""
ORIGINS: tuple[Origin, Origin] = ("real", "fake")


class View(NamedTuple):
    """One pair of batches that D is trained on.

    Args:
        real: `(*batch, ...)`.
        fake: `(*batch, ...)`, detached from G.
        weight: of its payoff in the update.
        attacked: the origins whose samples an attack has moved, for the log.
    """

    real: Samples
    fake: Samples
    weight: float = 1.0
    attacked: Sequence[Origin] = ()


class Response(NamedTuple):
    """D's response to the samples of one origin.

    Args:
        payoff: D's payoff g(D(x)) on every sample, `(*batch)`, detached.
        opposite: computes the mean of the same g over the samples of the other origin, `()` or `(replicas)`, detached.
        gradient: d payoff / d x of every sample, `(*batch, ...)`; None if not requested.
    """

    payoff: Scores
    opposite: Callable[[], Tensor]
    gradient: Samples | None


@runtime_checkable
class DiscriminatorUpdate(Protocol):
    """D within one update, as a regime drives it."""

    @property
    def round(self) -> int:
        """The round, from 0."""

    @property
    def network(self) -> nn.Module:
        """D."""

    @property
    def space(self) -> Space:
        """Shape and range of the samples."""

    @property
    def couples_samples(self) -> bool:
        """Whether D's score of a sample depends on the other samples of its batch."""

    @property
    def kept(self) -> MutableMapping[str, Tensor]:
        """Tensors that a regime keeps from update to update; part of the game's state."""

    def show(self, view: View, gradients: Sequence[Origin] = ()) -> Mapping[Origin, Response]:
        """Add the gradient of D's weighted payoff on a view to the gradients of its parameters.

        Args:
            view: what D is trained on.
            gradients: the origins for whose samples the same backward pass returns gradients.
        """

    def step(self) -> None:
        """One optimizer step along the gradients of everything shown since the last one."""

    def payoff(self, origin: Origin, samples: Samples, *, labels_of: Origin | None = None) -> Scores:
        """D's payoff for samples if they come from `origin`, `(*batch)`, differentiable.

        Args:
            origin: decides the payoff function.
            samples: `(*batch, ...)`.
            labels_of: whose classes the samples have; those of `origin` by default.
        """

    def rng(self, name: str) -> Rng:
        """A random stream of this update."""

    def mean(self, values: Scores) -> Tensor:
        """The mean over the whole batch of each game, over all processes.

        Args:
            values: of this process's samples, `(*batch)`, detached.
        """

    def record(self, numbers: Mapping[str, Tensor]) -> None:
        """Add numbers per sample, each `(*batch)`, to the log's running means."""


class Regime(Piece, family="regime"):
    """Owns D's update within one round.

    Attributes:
        steps: optimizer steps of D on one batch.
        keeps: whether it keeps tensors from update to update.
    """

    steps: ClassVar[int] = 1
    keeps: ClassVar[bool] = False

    @abstractmethod
    def update(self, d: DiscriminatorUpdate, real: Samples, fake: Samples) -> None:
        """Update D on one batch.

        Args:
            d: D within this update.
            real: `(*batch, ...)`.
            fake: `(*batch, ...)`, detached from G.
        """

    @property
    def trained_against(self) -> Attack | None:
        """The attack that D is trained against, or None without an attack or without a budget."""
        return None

    def remarks(self, *, couples_samples: bool) -> list[str]:
        """Remarks for the user before the first round.

        Args:
            couples_samples: whether D's score of a sample depends on the other samples of its batch.
        """
        return []
