"""One round of the game. Read this first.

    D:  theta <- theta + eta grad V(theta, views)            `critic_steps` times, under the regime (equation 3.1)
    G:  phi   <- phi   + eta grad mean f_g(Phi(D(G(z))))     through the adversary on the feedback (equation 3.4)

Equations are those of Xu, Li, Jegelka. Objective, adversary, regime and Lipschitz control are the recipe's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from sparring.core.modules import frozen
from sparring.core.randomness import Rng
from sparring.core.shapes import over_samples
from sparring.data import Batch
from sparring.gan.round_log import numbers_of_view
from sparring.gan.state import GANState
from sparring.networks import Verdict
from sparring.regimes import ORIGINS, Origin, Response, View


def play_round(state: GANState, step: int) -> None:
    """`critic_steps` updates of D, then one of G, on the latents that D saw last or on fresh ones."""
    state.set_rates(step)
    turns = state.recipe.critic_steps
    for number in range(step * turns, (step + 1) * turns):
        state.recipe.lipschitz.prepare(state.discriminator)
        real, fake = state.real_batch(number), state.generate("latents", number)
        seen_real = state.disturb(real.samples, step, "real", number)
        seen_fake = state.disturb(fake.samples.detach(), step, "fake", number)
        d = DiscriminatorTurn(state, step, number, {"real": real.labels, "fake": fake.labels})
        state.recipe.regime.update(d, seen_real, seen_fake)
    update_generator(state, state.generate("latents/fresh", step) if state.recipe.fresh_latents else fake, step)
    state.end_round(step)


class DiscriminatorTurn:
    """One update of D, as its regime drives it (`regimes.DiscriminatorUpdate`).

    Args:
        state: the game.
        step: the round.
        number: of the update, counted over all rounds.
        labels: the classes of the real and the generated samples, `(*batch)`, or None.
    """

    def __init__(self, state: GANState, step: int, number: int, labels: Mapping[Origin, Tensor | None]) -> None:
        self.state, self.round, self.number, self.labels = state, step, number, labels
        self.network, self.space, self.couples_samples = state.discriminator, state.space, state.couples_samples
        self.mean, self.record, self.kept = state.over_batch, state.log.add_samples, state.kept
        self._steps, self._losses = 0, list[Tensor]()

    def show(self, view: View, gradients: Sequence[Origin] = ()) -> Mapping[Origin, Response]:
        """Add the gradient of the weighted payoff, less the Lipschitz penalty once a step (equation 3.1)."""
        leaves = {origin: getattr(view, origin).detach().requires_grad_() for origin in gradients}
        verdicts = {origin: self.state.judge(leaves.get(origin, getattr(view, origin))) for origin in ORIGINS}
        payoffs = {origin: self._payoff(origin, verdicts[origin], origin) for origin in ORIGINS}
        loss = self._penalty(view) - view.weight * over_samples(payoffs["real"] + payoffs["fake"])
        # Packed games share no parameter: the gradient of the sum of their losses is that of each.
        inputs = [*self.state.descents["discriminator"].parameters, *leaves.values()]
        torch.autograd.backward(loss.sum(), inputs=inputs)
        self._losses.append(loss.detach())
        self.record(numbers_of_view(self.state.recipe, view, verdicts, payoffs, self.labels))
        scale = -payoffs["real"].shape[-1] / view.weight  # from the gradient of the loss to that of one sample's payoff
        slopes = {origin: scale * leaf.grad for origin, leaf in leaves.items() if leaf.grad is not None}
        return {
            origin: Response(payoffs[origin].detach(), partial(self._opposite, origin, verdicts), slopes.get(origin))
            for origin in ORIGINS
        }

    def step(self) -> None:
        """One optimizer step, then the Lipschitz constraint."""
        self.state.descents["discriminator"].step(torch.stack(self._losses).sum(0))
        self.state.recipe.lipschitz.constrain(self.network)
        self._steps, self._losses = self._steps + 1, []

    def payoff(self, origin: Origin, samples: Tensor, *, labels_of: Origin | None = None) -> Tensor:
        """D's payoff for samples if they come from `origin`."""
        return self._payoff(origin, self.state.judge(samples), labels_of or origin)

    def rng(self, name: str) -> Rng:
        """A random stream of this update."""
        return self.state.own_streams.rng(name, self.number)

    def _payoff(self, origin: Origin, verdict: Verdict, labels_of: Origin) -> Tensor:
        recipe, labels = self.state.recipe, self.labels[labels_of]
        score = recipe.discriminator.head.score(verdict, labels)
        return recipe.class_loss.payoff(origin, getattr(recipe.objective, origin)(score), verdict.classes, labels)

    def _opposite(self, origin: Origin, verdicts: Mapping[Origin, Verdict]) -> Tensor:
        other: Origin = "fake" if origin == "real" else "real"
        return self.mean(self._payoff(origin, verdicts[other], other).detach())

    def _penalty(self, view: View) -> Tensor:
        control, axes = self.state.recipe.lipschitz, self.state.batch_axes
        if self._losses or not self.state.penalizes:
            return view.real.new_zeros(())
        rng = self.rng(f"lipschitz/{self._steps}")
        cost = control.penalty(self.state.score, view.real, view.fake, batch_axes=axes, rng=rng)
        self.record({"penalty": cost})
        return over_samples(cost)


def update_generator(state: GANState, fake: Batch, step: int) -> None:
    """One step of G up its payoff; the adversary perturbs D's score, and not its class logits."""
    recipe, rng = state.recipe, state.own_streams.rng("feedback", step)
    with frozen(state.descents["discriminator"].parameters):
        verdict = state.judge(state.disturb(fake.samples, step, "generator", step))
        score = recipe.discriminator.head.score(verdict, fake.labels)
        payoff = recipe.feedback.transmit(recipe.objective.generator, score, rng=rng)
        payoff = recipe.class_loss.payoff("generator", payoff, verdict.classes, fake.labels)
        loss = -over_samples(payoff)
        torch.autograd.backward(loss.sum(), inputs=state.descents["generator"].parameters)
    state.log.add({"payoff_g": -loss})
    state.descents["generator"].step(loss.detach())
