"""Equation (6) of AS-GAN: a step of G moves its samples like an attack on D, to first order in the learning rate.

    G_phi'(z) ~ G_phi(z) - eta J J^T grad_{G(z)} V_m,    J = d G_phi(z) / d phi

phi' is a step of our own training; the right-hand side has products with J and its transpose, and no step. V_m is what
G descends, here the non-saturating loss of section 4.

Values at rate eta: `error`, the relative error of the predicted movement; `error_tenth`, the same at eta / 10;
`shrinks`, the quotient of both, about 10 for an error of first order where no unit of a ReLU switches; `payoff`, by how
much the mean score of the moved samples rises under the same D, in score per unit of movement; `alignment`, the cosine
of the movement and the direction of steepest ascent of G's payoff in the space of samples.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from sparring.claims.computations.base import Computation
from sparring.claims.computations.small_games import DESCENT, game_of, relative_error
from sparring.claims.values import Value
from sparring.core.pieces import piece
from sparring.core.records import Positive
from sparring.gan.state import GANState
from sparring.gan.step import play_round, update_generator


@piece("first_order_step")
class FirstOrderStep(Computation):
    """G's step and its first-order prediction on a batch.

    Args:
        recipe: the game.
        rounds: played before, so that D knows the data.
        rate: the learning rate eta of the step.
    """

    recipe: str = "asgan/digits-baseline"
    rounds: int = 50
    rate: Positive = 1e-3

    def compute(self, seed: int) -> Mapping[str, Value]:
        whole, tenth = self._moved(seed, self.rate), self._moved(seed, self.rate / 10)
        error = relative_error(whole.movement, whole.predicted)
        error_tenth = relative_error(tenth.movement, tenth.predicted)
        size = torch.linalg.vector_norm(whole.movement)
        return {
            "error": error,
            "error_tenth": error_tenth,
            "shrinks": error / error_tenth,
            "payoff": float(whole.raised / size),
            "alignment": float((whole.movement * whole.ascent).sum() / size / torch.linalg.vector_norm(whole.ascent)),
        }

    def _moved(self, seed: int, rate: float) -> Moved:
        changes = {"optimizers.discriminator": DESCENT, "optimizers.generator": DESCENT | {"lr": rate}, "ema": 0.0}
        game = game_of(self.recipe, seed, changes)
        for group in game.optimizers["generator"].param_groups:
            group["initial_lr"] = 0.1
        for step in range(self.rounds):
            play_round(game, step)
        for group in game.optimizers["generator"].param_groups:
            group["lr"] = rate
        return Moved(game, rate, self.rounds)


class Moved:
    """The movement of generated samples by one step of G, and its prediction.

    Args:
        game: after some rounds.
        rate: of the step.
        number: of the round.

    Attributes:
        movement: of the samples `(m, ...)`.
        predicted: the same by equation (6).
        ascent: gradient of G's payoff with respect to the samples, `(m, ...)`.
        raised: how much D's mean score of the moved samples rose.
    """

    def __init__(self, game: GANState, rate: float, number: int) -> None:
        generator = game.networks.generator
        before = game.generate("latents", number)
        self.ascent = _ascent(game, before.samples.detach())
        gradients = torch.autograd.grad(
            before.samples, list(generator.parameters()), self.ascent, retain_graph=True
        )  # J^T grad
        self.predicted = rate * _through_jacobian(game, generator, gradients, number)
        update_generator(game, before, number)
        with torch.no_grad():
            after = game.generate("latents", number).samples
            self.movement = after - before.samples.detach()
            self.raised = (game.score(after) - game.score(before.samples)).mean()


def _ascent(game: GANState, samples: Tensor) -> Tensor:
    """The gradient of mean_i f_g(D(x_i)) with respect to the samples."""
    leaf = samples.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(game.recipe.objective.generator(game.score(leaf)).mean(), leaf)
    return gradient


def _through_jacobian(game: GANState, generator: nn.Module, direction: tuple[Tensor, ...], number: int) -> Tensor:
    """J v: the derivative of the samples of round `number` along a direction of G's parameters."""
    recipe = game.recipe
    codes = recipe.generator.draw((game.share,), game.space, rng=game.own_streams.rng("latents", number)).values
    named = dict(generator.named_parameters())
    names, values = tuple(named), tuple(value.detach() for value in named.values())

    def samples(*parameters: Tensor) -> Tensor:
        found: Tensor = functional_call(generator, dict(zip(names, parameters, strict=True)), (codes,))
        return found

    derivative: Tensor = jvp(samples, values, direction)[1]
    return derivative
