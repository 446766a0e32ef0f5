"""Lipschitz control of the discriminator: reparametrisation, noise on its inputs, a penalty, or a constraint."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from sparring.core.errors import UsageError
from sparring.core.modules import batch_statistics
from sparring.core.pieces import Piece, piece
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, Scores

ScoreFunction = Callable[[Samples], Scores]


class Lipschitz(Piece, family="lipschitz"):
    """A control of D. A member overrides the methods that it needs; the others do nothing."""

    @property
    def penalizes(self) -> bool:
        """Whether it has a penalty, a term of D's loss."""
        return type(self).penalty is not Lipschitz.penalty

    @property
    def needs_second_derivatives(self) -> bool:
        """Whether its penalty is differentiated through a gradient of D."""
        return False

    @property
    def disturbs(self) -> bool:
        """Whether it changes the samples that D sees."""
        return type(self).disturb is not Lipschitz.disturb

    def check(self, discriminator: nn.Module) -> None:
        """Refuse a network that the control is not defined for.

        Raises:
            UsageError: names the layer that rules it out.
        """

    def transform(self, discriminator: nn.Module) -> None:
        """Reparametrise D in place, once, directly after its initialisation.

        Raises:
            UsageError: D is reparametrised already.
        """

    def disturb(self, samples: Samples, *, progress: float, rng: Rng) -> Samples:
        """The samples that D sees in place of these, real or generated; differentiable.

        Args:
            samples: `(*batch, ...)`.
            progress: share of the rounds that is complete, in [0, 1).
            rng: the control's own random stream.
        """
        return samples

    def penalty(self, score: ScoreFunction, real: Samples, fake: Samples, *, batch_axes: int, rng: Rng) -> Tensor:
        """The penalty per sample, weight included, `(*batch)`.

        Args:
            score: D's score of samples, `(*batch, ...) -> (*batch)`.
            real: `(*batch, ...)`.
            fake: `(*batch, ...)`, detached from G.
            batch_axes: how many leading axes are batch: 1, or 2 with replicas.
            rng: the control's own random stream.
        """
        return real.new_zeros(real.shape[:batch_axes])

    def prepare(self, discriminator: nn.Module) -> None:
        """Project D's parameters, in place, before a turn of D: `critic_steps` times a round."""

    def constrain(self, discriminator: nn.Module) -> None:
        """Project D's parameters, or update statistics of them, in place: before the first step and after each."""


@piece("none")
class Unconstrained(Lipschitz):
    """No control."""


class PerSamplePenalty(Lipschitz):
    """A penalty on how D's score of a sample depends on that sample.

    Raises:
        UsageError: D has batch statistics, which leave the gradient of a sample undefined.
    """

    @property
    def needs_second_derivatives(self) -> bool:
        return True

    def check(self, discriminator: nn.Module) -> None:
        layer = batch_statistics(discriminator)
        if layer is not None:
            raise UsageError(
                f"lipschitz: {self.name} needs a gradient per sample, and layer {layer!r} of the discriminator "
                f"({type(discriminator.get_submodule(layer)).__name__}) couples the samples of a batch",
                "use discriminator.batch_norm=false, or another lipschitz control",
            )

    @abstractmethod
    def penalty(self, score: ScoreFunction, real: Samples, fake: Samples, *, batch_axes: int, rng: Rng) -> Tensor:
        """As in `Lipschitz.penalty`."""
