"""One round of the game: D learns from what it sees, G learns from what it is told. Read this first.

Nothing here asks which objective, adversary, regime or Lipschitz control is played.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sparring.engine.game import Game, frozen
from sparring.regimes import View
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
        game.recipe.regime.update(Discriminating(game, number), real, fake.detach())
    update_generator(game, fake, step)
    game.update_average()


@dataclass(frozen=True)
class Discriminating:
    """D's side of one turn, as a regime sees it."""

    game: Game
    number: int

    def ascend(self, views: Sequence[View]) -> None:
        """One step of D up the weighted payoffs of the views (equation 3.1), less what its Lipschitz control costs."""
        game, recipe = self.game, self.game.recipe
        total = torch.zeros((), device=game.device)
        for view in views:
            real_score, fake_score = game.score(view.real), game.score(view.fake)
            real, fake = recipe.objective.real(real_score), recipe.objective.fake(fake_score)
            rng = game.streams.rng("lipschitz", self.number)
            cost = recipe.lipschitz.penalty(
                game.score, view.real, view.fake, batch_axes=game.batch_axes, rng=rng
            ).expand(real.shape)
            self._note(real_score, fake_score, real, fake, cost)
            total = total + view.weight * over_samples(real + fake - cost)
        step_up(game, "discriminator", total)
        recipe.lipschitz.constrain(game.discriminator)

    def _note(self, real_score: Tensor, fake_score: Tensor, real: Tensor, fake: Tensor, cost: Tensor) -> None:
        watch = self.game.watch
        watch.finite("score of real samples", [real_score])
        watch.finite("score of generated samples", [fake_score])
        watch.finite("payoff of D on real samples", [real])
        watch.finite("payoff of D on generated samples", [fake])
        watch.finite("Lipschitz penalty", [cost])
        watch.mean("d_real", over_samples(torch.sigmoid(real_score)))
        watch.mean("d_fake", over_samples(torch.sigmoid(fake_score)))
        watch.mean("score_real", over_samples(real_score))
        watch.mean("score_fake", over_samples(fake_score))
        watch.mean("payoff_d", over_samples(real + fake))
        watch.mean("penalty", over_samples(cost))
        saturated = torch.cat([real_score, fake_score], dim=-1).abs() > SATURATED
        watch.mean("saturated", over_samples(saturated.float()))


def update_generator(game: Game, fake: Tensor, step: int) -> None:
    """One step of G up its payoff for what the adversary lets through of D's score (equation 3.4)."""
    recipe = game.recipe
    with frozen(game.discriminator):
        score = game.score(fake)
        rng = game.streams.rng("feedback", step)
        payoff = recipe.feedback.transmit(recipe.objective.generator, score, rng=rng)
        game.watch.finite("score told to G", [score])
        game.watch.finite("payoff of G", [payoff])
        game.watch.mean("payoff_g", over_samples(payoff))
        step_up(game, "generator", over_samples(payoff))


def step_up(game: Game, player: str, payoff: Tensor) -> None:
    """One optimizer step of a player up its mean payoff, a scalar or one per replica (independent games)."""
    network: nn.Module = getattr(game.players, player)
    parameters = list(network.parameters())
    # Replicas share no parameter: the gradient of the sum of their payoffs is every replica's own gradient.
    # `backward`, not `grad`: it lays gradients out like their parameters, which fused optimizers take for granted.
    (-payoff.sum()).backward(inputs=parameters)  # type: ignore[no-untyped-call]
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = _norm(gradients, len(game.recipe.lead))
    game.watch.finite(f"gradient of the {player}", [norm])
    game.watch.mean(f"gradient_{player}", norm)
    game.optimizers[player].step()
    game.watch.finite(f"weights of the {player}", parameters)
    for parameter in parameters:
        parameter.grad = None


def _norm(gradients: Sequence[Tensor], lead_axes: int) -> Tensor:
    """The Euclidean norm over all parameters of each game; not finite exactly if a gradient is not."""
    norms = [torch.linalg.vector_norm(gradient.flatten(lead_axes), dim=-1) for gradient in gradients]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    return norm
