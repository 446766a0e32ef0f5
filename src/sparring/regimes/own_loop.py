"""Regimes in a training loop of the user's own: any discriminator and any optimizer.

    d = OwnDiscriminator(discriminator, optimizer, objective, space=(-1, 1))
    for real in batches:
        fake = generator(torch.randn(len(real), 64))
        d.update(Symmetric(attack=FGSM(epsilon="1/255")), real, fake.detach())

Up to rounding it is the update of `gan/step.py`, for single games without class payoffs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from sparring.core.boundary import fitted, module_from, require_range, samples_from
from sparring.core.errors import UsageError
from sparring.core.modules import batch_statistics, input_gradient, untraced
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Samples, Scores, Space, SpaceLike, over_samples
from sparring.lipschitz import Lipschitz
from sparring.objectives import Objective
from sparring.regimes.base import ORIGINS, Origin, Regime, Response, View


def scores_alone(output: Any) -> Scores:
    """The output of a network that returns one score a sample, `(n)` or `(n, 1)`.

    Raises:
        UsageError: it returns something else.
    """
    if not isinstance(output, Tensor) or output.shape[1:].numel() != 1:
        got = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else f"a {type(output).__name__}"
        raise UsageError(
            f"network: returned {got}, wanted one score a sample, (n) or (n, 1)",
            "give scores=, a function that reads them",
        )
    return output.reshape(len(output))


class OwnDiscriminator:
    """A discriminator that regimes update: `regimes.DiscriminatorUpdate` for any network and optimizer.

    Args:
        network: samples `(n, ...)` to scores, logits of "real".
        optimizer: over its parameters.
        objective: payoffs per sample, or its name; D ascends their mean.
        space: shape and range of the samples, or the range alone; None for samples without one.
        lipschitz: a control, or its name; its penalty is subtracted once a step, its constraint applied before the
            first step and after each. Spectral normalisation reparametrises the network, in place.
        scores: from the network's output to scores `(n)`.
        seed: of random starts.

    Raises:
        UsageError: there is no such objective or control, or the control is not defined for the network, disturbs
            samples, or has been applied to the network.

    Attributes:
        round: of the next update, from 0; the warm-up of an attack follows it.
        kept: what the regime keeps from update to update.
        logged: the last numbers per sample that a regime recorded, by name.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        objective: Objective | str,
        *,
        space: SpaceLike,
        lipschitz: Lipschitz | str = "none",
        scores: Callable[[Any], Scores] = scores_alone,
        seed: int = 0,
    ) -> None:
        self.network, self.optimizer = module_from(network, "network"), optimizer
        self.objective = Objective.validated(objective, "objective", "see `sparring list objective`")
        self.round, self.logged, self.kept = 0, dict[str, Tensor](), dict[str, Tensor]()
        self._lipschitz = Lipschitz.validated(lipschitz, "lipschitz", "see `sparring list lipschitz`")
        self._space, self._scores, self._seed = space, scores, seed
        self._shown, self._steps = False, 0
        if self._lipschitz.disturbs:
            raise UsageError(
                f"lipschitz: {self._lipschitz.name} changes the samples that D sees, in D's and in G's step",
                "call its disturb(samples, progress=..., rng=...) on the samples of both, and leave it out here",
            )
        self._lipschitz.check(self.network)
        self._lipschitz.transform(self.network)
        self._lipschitz.constrain(self.network)

    def update(self, regime: Regime | str, real: Any, fake: Any) -> None:
        """One update of D under a regime.

        Args:
            regime: for example `Symmetric(attack=FGSM(epsilon="1/255"))`, or its name.
            real: `(n, ...)`.
            fake: `(n, ...)`; what it was computed from gets no gradient.

        Raises:
            UsageError: the samples are not what they should be; says which, and what is wanted.
        """
        real, fake = (
            fitted(samples_from(each, name), self.network).detach() for each, name in ((real, "real"), (fake, "fake"))
        )
        if real.shape != fake.shape:
            cause = f"fake: shape {tuple(fake.shape)}, and real has {tuple(real.shape)}"
            raise UsageError(cause, "give as many generated samples as real ones, of their shape")
        self.space = Space.of(self._space, real)
        require_range(real, self.space, "real")
        self._device, self._steps = real.device, 0
        self.optimizer.zero_grad()  # what G's step left
        self._lipschitz.prepare(self.network)
        Regime.validated(regime, "regime", "see `sparring list regime`").update(self, real, fake)
        self.round += 1

    @cached_property
    def couples_samples(self) -> bool:
        """Whether D's score of a sample depends on the other samples of its batch, by its gradients."""
        low, high = self.space.bounds or (-1.0, 1.0)
        samples = fitted(Rng.of(0, self._device).uniform((3, *self.space.shape), low, high), self.network)
        with untraced(self.network):
            gradient = input_gradient(lambda x: self.score(x)[:1], samples).gradient
        return batch_statistics(self.network) is not None or bool((gradient[1:] != 0).any())

    def score(self, samples: Samples) -> Scores:
        """D's scores, `(n)`."""
        return self._scores(self.network(samples))

    def show(self, view: View, gradients: Sequence[Origin] = ()) -> Mapping[Origin, Response]:
        """Add the gradient of the weighted payoff, less the penalty once a step (equation 3.1)."""
        leaves = {origin: getattr(view, origin).detach().requires_grad_() for origin in gradients}
        scores = {origin: self.score(leaves.get(origin, getattr(view, origin))) for origin in ORIGINS}
        payoffs = {origin: self._payoff(origin, scores[origin]) for origin in ORIGINS}
        loss = self._penalty(view) - view.weight * over_samples(payoffs["real"] + payoffs["fake"])
        parameters = [each for each in self.network.parameters() if each.requires_grad]
        torch.autograd.backward(loss, inputs=[*parameters, *leaves.values()])
        self._shown = True
        scale = -len(view.real) / view.weight  # from the gradient of the loss to that of one sample's payoff
        slopes = {origin: scale * leaf.grad for origin, leaf in leaves.items()}
        return {
            origin: Response(payoffs[origin].detach(), partial(self._opposite, origin, scores), slopes.get(origin))
            for origin in ORIGINS
        }

    def step(self) -> None:
        """One optimizer step, then the Lipschitz constraint."""
        self.optimizer.step()
        self.optimizer.zero_grad()
        self._lipschitz.constrain(self.network)
        self._steps, self._shown = self._steps + 1, False

    def payoff(self, origin: Origin, samples: Samples, *, labels_of: Origin | None = None) -> Scores:
        """D's payoff for samples if they come from `origin`, `(n)`."""
        return self._payoff(origin, self.score(samples))

    def rng(self, name: str) -> Rng:
        """A random stream of this update."""
        return Streams(self._seed, None, self._device).rng(name, self.round)

    def mean(self, values: Scores) -> Tensor:
        """The mean over the batch."""
        return over_samples(values)

    def record(self, numbers: Mapping[str, Tensor]) -> None:
        """Keep numbers per sample, in `logged`."""
        self.logged |= numbers

    def _payoff(self, origin: Origin, score: Scores) -> Scores:
        payoff: Scores = getattr(self.objective, origin)(score)
        return payoff

    def _opposite(self, origin: Origin, scores: Mapping[Origin, Scores]) -> Tensor:
        other: Origin = "fake" if origin == "real" else "real"
        return self.mean(self._payoff(origin, scores[other].detach()))

    def _penalty(self, view: View) -> Tensor:
        if self._shown or not self._lipschitz.penalizes:
            return view.real.new_zeros(())
        rng = self.rng(f"lipschitz/{self._steps}")
        return over_samples(self._lipschitz.penalty(self.score, view.real, view.fake, batch_axes=1, rng=rng))
