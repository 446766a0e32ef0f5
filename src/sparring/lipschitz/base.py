"""Lipschitz control of the discriminator, by any of five means: refuse, reparametrise, disturb, penalise, constrain."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sparring.core.errors import UsageError
from sparring.core.modules import batch_statistics
from sparring.core.pieces import Piece, piece
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, Scores

ScoreFunction = Callable[[Samples], Scores]


class Lipschitz(Piece, family="lipschitz"):
    """A control of D. A member overrides what it needs; the rest does nothing."""

    @property
    def penalizes(self) -> bool:
        """Whether it has a penalty, a term of D's loss."""
        return type(self).penalty is not Lipschitz.penalty

    def check(self, discriminator: nn.Module) -> None:
        """Refuse a network that the control is not defined for.

        Raises:
            UsageError: names the layer that stands in the way.
        """

    def transform(self, discriminator: nn.Module) -> None:
        """Reparametrise D in place, once, after its weights are drawn and before anything else reads them.

        Raises:
            UsageError: it is reparametrised already.
        """

    def disturb(self, samples: Samples, *, progress: float, rng: Rng) -> Samples:
        """What D sees of samples, real or generated, with the gradient to them.

        Args:
            samples: `(*batch, ...)`.
            progress: share of the rounds that has been played, in [0, 1).
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

    def constrain(self, discriminator: nn.Module) -> None:
        """Project D's parameters, or follow them with what is kept of them, in place: once a step and once before."""


@piece("none")
class Unconstrained(Lipschitz):
    """D is left as it is."""


class PerSamplePenalty(Lipschitz):
    """A penalty on how D's score of a sample depends on that sample.

    Raises:
        UsageError: D has batch statistics, which leave the gradient of a sample undefined.
    """

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


def input_gradient(score: ScoreFunction, samples: Samples) -> Samples:
    """grad_x D(x) of every sample, itself differentiable in D's parameters.

    Args:
        score: D's score of samples.
        samples: `(*batch, ...)`; taken as constants.
    """
    at = samples.detach().requires_grad_()
    # The sum, not the mean: a sample's gradient does not shrink with the size of its batch.
    (gradient,) = torch.autograd.grad(score(at).sum(), at, create_graph=True)
    return gradient
