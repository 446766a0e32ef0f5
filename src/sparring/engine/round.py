"""One round of the game: D learns from what it sees, G learns from what it is told. Read this first.

Nothing here asks which objective, adversary, regime or Lipschitz control is played.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sparring.engine.game import Game
from sparring.engine.stepping import descend
from sparring.modules import frozen
from sparring.randomness import Rng
from sparring.regimes import Response, Responses, Side, View
from sparring.shapes import over_samples

SATURATED = 10.0
"""A score of this size or more hardly passes a gradient through a bounded payoff; the log counts them."""


def play_round(game: Game, step: int) -> None:
    """Play round `step`: `critic_steps` updates of D, then one of G through the adversary on its feedback.

    G learns from the samples that D met last, so no fakes are generated twice.
    """
    game.set_rates(step)
    for turn in range(game.recipe.critic_steps):
        number = step * game.recipe.critic_steps + turn
        real = game.source.batch(number, game.recipe.batch_size, game.streams).samples
        fake = game.generate("latents", number)
        game.watch.finite("real samples", [real])
        game.watch.finite("generated samples", [fake])
        seen_real = game.disturb(real, step, "real", number)
        seen_fake = game.disturb(fake.detach(), step, "fake", number)
        game.recipe.regime.update(Discriminating(game, step, number), seen_real, seen_fake)
    update_generator(game, fake, step)
    game.update_average()


class Discriminating:
    """D's side of one turn, as a regime sees it.

    Args:
        game: whose D it is.
        step: the round.
        number: the turn, counted over the whole game.
    """

    def __init__(self, game: Game, step: int, number: int) -> None:
        self.game, self.round, self.number = game, step, number
        self.network, self.space = game.discriminator, game.source.facts.space
        self._parameters = list(game.discriminator.parameters())
        self._steps, self._paid = 0, False

    @property
    def couples_samples(self) -> bool:
        """Whether D's score of a sample depends on the others of its batch."""
        return self.game.couples_samples

    def show(self, view: View, gradients: Sequence[Side] = ()) -> Responses:
        """Add the gradient of the weighted payoff (equation 3.1), less what the Lipschitz control costs once a step."""
        objective = self.game.recipe.objective
        leaves = {side: getattr(view, side).detach().requires_grad_() for side in gradients}
        real_score = self.game.score(leaves.get("real", view.real))
        fake_score = self.game.score(leaves.get("fake", view.fake))
        real, fake = objective.real(real_score), objective.fake(fake_score)
        self._note(view, real_score, fake_score, real, fake)
        cost = self._cost(view, real.shape)
        loss = over_samples(cost) - view.weight * over_samples(real + fake)
        # Replicas share no parameter: the gradient of the sum of their losses is every replica's own gradient.
        # `backward`, not `grad`: it lays gradients out like their parameters, which fused optimizers take for granted.
        loss.sum().backward(inputs=[*self._parameters, *leaves.values()])  # type: ignore[no-untyped-call]
        own = -real.shape[-1] / view.weight  # from the gradient of a weighted mean to that of one sample's payoff
        slopes = {side: own * leaf.grad for side, leaf in leaves.items() if leaf.grad is not None}
        return Responses(
            Response(real.detach(), over_samples(objective.real(fake_score.detach())), slopes.get("real")),
            Response(fake.detach(), over_samples(objective.fake(real_score.detach())), slopes.get("fake")),
        )

    def step(self) -> None:
        """One optimizer step, then the Lipschitz constraint."""
        advance(self.game, "discriminator")
        self.game.recipe.lipschitz.constrain(self.network)
        self._steps, self._paid = self._steps + 1, False

    def payoff(self, side: Side, samples: Tensor) -> Tensor:
        """D's payoff on samples of a side."""
        payoff: Tensor = getattr(self.game.recipe.objective, side)(self.game.score(samples))
        return payoff

    def rng(self, name: str) -> Rng:
        """A random stream of this turn."""
        return self.game.streams.rng(name, self.number)

    def note(self, name: str, values: Tensor) -> None:
        """Add to the log's running means."""
        self.game.watch.mean(name, over_samples(values))

    def _cost(self, view: View, batch: torch.Size) -> Tensor:
        if self._paid:
            return torch.zeros(batch, device=self.game.device)
        self._paid = True
        control, axes = self.game.recipe.lipschitz, self.game.batch_axes
        rng = self.rng(f"lipschitz/{self._steps}")
        cost = control.penalty(self.game.score, view.real, view.fake, batch_axes=axes, rng=rng)
        self.game.watch.finite("Lipschitz penalty", [cost])
        self.note("penalty", cost.expand(batch))
        return cost.expand(batch)

    def _note(self, view: View, real_score: Tensor, fake_score: Tensor, real: Tensor, fake: Tensor) -> None:
        watch = self.game.watch
        watch.finite("score of real samples", [real_score])
        watch.finite("score of generated samples", [fake_score])
        watch.finite("payoff of D on real samples", [real])
        watch.finite("payoff of D on generated samples", [fake])
        for side, score in (("real", real_score), ("fake", fake_score)):
            name = f"{side}_adversarial" if side in view.attacked else side
            self.note(f"d_{name}", torch.sigmoid(score))
            self.note(f"score_{name}", score)
        self.note("payoff_d_adversarial" if view.attacked else "payoff_d", real + fake)
        self.note("saturated", (torch.cat([real_score, fake_score], dim=-1).abs() > SATURATED).float())


def update_generator(game: Game, fake: Tensor, step: int) -> None:
    """One step of G up its payoff for what the adversary lets through of D's score (equation 3.4)."""
    recipe = game.recipe
    with frozen(game.discriminator):
        score = game.score(game.disturb(fake, step, "told", step))
        rng = game.streams.rng("feedback", step)
        payoff = recipe.feedback.transmit(recipe.objective.generator, score, rng=rng)
        game.watch.finite("score told to G", [score])
        game.watch.finite("payoff of G", [payoff])
        game.watch.mean("payoff_g", over_samples(payoff))
        loss = -over_samples(payoff).sum()
        loss.backward(inputs=list(game.generator.parameters()))  # type: ignore[no-untyped-call]
    advance(game, "generator")


def advance(game: Game, player: str) -> None:
    """One optimizer step of a player along the gradients that it has gathered, which are forgotten."""
    parameters = list(getattr(game.players, player).parameters())
    descend(player, parameters, game.optimizers[player], game.watch, len(game.recipe.lead))
