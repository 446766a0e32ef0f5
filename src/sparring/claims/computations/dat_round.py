"""One round of DAT, taken apart: which samples D is trained on, along which gradient, and what G learns from.

    D:  grad_theta { lambda_1 mean [g1(D(x_r)) + g2(D(x_f))] + lambda_2 mean [g1(D(x_r + d_r)) + g2(D(x_f + d_f))] }
        d_r = -epsilon grad |g1(D(x_r)) - mean g1(D(x_f))|,  d_f = -epsilon grad |g2(D(x_f)) - mean g2(D(x_r))|
    G:  as without the attack

with g1 = log sigmoid, g2(s) = g1(-s), each d constant, and x + d clipped to the range of the data. The formulas are
written here a second time, and compared with the update that training runs.

Source: Direct Adversarial Training for GANs, figure 2, equation (10) and algorithm 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.claims.computations.base import Computation
from sparring.claims.values import Value
from sparring.core.pieces import piece
from sparring.core.records import Count
from sparring.gan.state import GANState
from sparring.gan.step import DiscriminatorTurn, play_round, update_generator
from sparring.recipes import load, require_game
from sparring.regimes import Origin, Response, View

_CPU = torch.device("cpu")


class Watched(NamedTuple):
    """What one update showed to D, and where it would have moved D.

    Args:
        views: in their order.
        gradient: of the loss, over all parameters.
        updates: steps of the optimizer.
    """

    views: list[View]
    gradient: Tensor
    updates: int


class WatchedTurn(DiscriminatorTurn):
    """A turn of D that records what it is shown, and leaves its weights as they are."""

    def watch(self, real: Tensor, fake: Tensor) -> Watched:
        """The update of the recipe's regime on one batch."""
        self.views, self.updates = list[View](), 0
        parameters = self.state.descents["discriminator"].parameters
        for parameter in parameters:
            parameter.grad = None
        self.state.recipe.regime.update(self, real, fake)
        gradient = _flat([each.grad for each in parameters if each.grad is not None])
        return Watched(self.views, gradient, self.updates)

    def show(self, view: View, gradients: Sequence[Origin] = ()) -> Mapping[Origin, Response]:
        self.views.append(view)
        return super().show(view, gradients)

    def step(self) -> None:
        self.updates += 1


@piece("dat_round")
class DATRound(Computation):
    """Algorithm 1 on the built-in digits against the update that training runs, D in fp64.

    Returns `gradient_error` and `perturbation_error`, relative to the formulas; `discriminator_change`, the relative
    difference of D's gradient from that without an attack; `generator_change`, the largest difference of G's weights
    after its step from those without an attack; `views` and `updates` of D in one round, and `clean_change`, how far
    the first view is from the clean batch.

    Args:
        rounds: that are played before.
    """

    rounds: Count = 20

    def compute(self, seed: int) -> Mapping[str, Value]:
        state, plain = _state("dat/digits", seed), _state("dat/digits-baseline", seed)
        after = [_weights_after_generator_step(each) for each in (state, plain)]
        for step in range(self.rounds):
            play_round(state, step)
        real, fake = state.real_batch(0).samples.double(), state.generate("latents", 0).samples.detach().double()
        state.networks.double()
        watched = _turn(state).watch(real, fake)
        unattacked = _turn(state, "dat/digits-baseline").watch(real, fake)
        moved = _perturbed(state, real, fake)
        formula = _gradient(state, (real, fake), moved)
        clean, attacked = watched.views
        error = max(_relative(mine, its) for mine, its in zip(moved, (attacked.real, attacked.fake), strict=True))
        return {
            "gradient_error": _relative(formula, watched.gradient),
            "perturbation_error": error,
            "discriminator_change": _relative(watched.gradient, unattacked.gradient),
            "generator_change": float((after[0] - after[1]).abs().max()),
            "views": float(len(watched.views)),
            "clean_change": float((clean.real - real).abs().max() + (clean.fake - fake).abs().max()),
            "updates": float(watched.updates),
        }


def _state(name: str, seed: int) -> GANState:
    recipe = require_game(load(name, [f"seed={seed}"]), name)
    return GANState(recipe, recipe.data.open(_CPU), _CPU)


def _turn(state: GANState, regime_of: str = "dat/digits") -> WatchedTurn:
    state.recipe = state.recipe.model_copy(update={"regime": require_game(load(regime_of), regime_of).regime})
    return WatchedTurn(state, 0, 0, {"real": None, "fake": None})


def _weights_after_generator_step(state: GANState) -> Tensor:
    update_generator(state, state.generate("latents/fresh", 0), 0)
    return _flat([each.detach() for each in state.generator.parameters()])


def _perturbed(state: GANState, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The adversarial samples of both sides by equation (10), with epsilon 1."""

    def moved(x: Tensor, other: Tensor, payoff: Callable[[Tensor], Tensor]) -> Tensor:
        leaf = x.clone().requires_grad_()
        distance = (payoff(state.score(leaf)) - payoff(state.score(other)).mean().detach()).abs().sum()
        (slope,) = torch.autograd.grad(distance, leaf)
        return (x - slope).clamp(-1, 1)

    return moved(real, fake, F.logsigmoid), moved(fake, real, lambda score: F.logsigmoid(-score))


def _gradient(state: GANState, clean: tuple[Tensor, Tensor], attacked: tuple[Tensor, Tensor]) -> Tensor:
    """The gradient of the loss of line 10 of algorithm 1, with both weights 1/2."""
    halves = [(F.logsigmoid(state.score(r)) + F.logsigmoid(-state.score(f))).mean() for r, f in (clean, attacked)]
    loss = -(0.5 * halves[0] + 0.5 * halves[1])
    return _flat(torch.autograd.grad(loss, list(state.discriminator.parameters())))


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([each.flatten().clone() for each in tensors])


def _relative(a: Tensor, b: Tensor) -> float:
    return float((a - b).norm() / b.norm())
