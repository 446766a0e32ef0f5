"""What D and G see in one round of Rob-GAN, watched in the training's own round.

    D:  attacked real images and clean images of G;  G:  D's verdict on clean images of G

Source: Rob-GAN, figure 1, section 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.claims.computations.base import Computation
from sparring.claims.values import Value
from sparring.core.pieces import piece
from sparring.core.records import Count
from sparring.core.shapes import Samples, Space
from sparring.gan.state import GANState
from sparring.gan.step import DiscriminatorTurn, play_round
from sparring.objectives.classes import log_likelihood
from sparring.recipes import Recipe, load, require_game
from sparring.regimes import DiscriminatorUpdate, Origin, Regime, Response, View

_CPU = torch.device("cpu")


@piece("robgan_round")
class RobGANRound(Computation):
    """One round after some others.

    Values:
        views: how often D is shown a pair of batches.
        real_moved: largest change of a real image that D sees, in multiples of epsilon.
        payoff_lowered: share of the attacked real images on which D's payoff is lower than on the clean ones.
        fake_moved: largest change of a generated image that D sees.
        generator_difference: largest difference of a weight of G from a step up log D(G(z)) + log P(C = c | G(z)).
        without_attack_difference: largest difference of a weight from the round of the plain GAN, with epsilon 0.

    Args:
        recipe: of the game: regime `replace`, class loss `split`, objective `nonsaturating`.
        rounds: played before.
    """

    recipe: str = "robgan/digits"
    rounds: Count = 5

    def compute(self, seed: int) -> Mapping[str, Value]:
        recipe = require_game(load(self.recipe, [f"seed={seed}"]), self.recipe)
        state, before = self._played(recipe), self._played(recipe)
        watched = WatchedRegime(recipe.regime)
        state.recipe = recipe.model_copy(update={"regime": watched})
        play_round(state, self.rounds)
        real, fake = before.real_batch(self.rounds), before.generate("latents", self.rounds)
        (view,) = watched.views
        attack = recipe.regime.trained_against
        assert attack is not None
        turn = DiscriminatorTurn(before, self.rounds, self.rounds, {"real": real.labels, "fake": fake.labels})
        with torch.no_grad():
            lowered = turn.payoff("real", view.real) < turn.payoff("real", real.samples)
        return {
            "views": float(len(watched.views)),
            "real_moved": largest(view.real, real.samples) / (attack.epsilon * before.space.width),
            "payoff_lowered": float(lowered.double().mean()),
            "fake_moved": largest(view.fake, fake.samples),
            "generator_difference": self._generator_difference(state, before),
            "without_attack_difference": self._without_attack(recipe),
        }

    def _played(self, recipe: Recipe) -> GANState:
        state = GANState(recipe, recipe.data.open(_CPU), _CPU)
        for step in range(self.rounds):
            play_round(state, step)
        return state

    def _generator_difference(self, after: GANState, before: GANState) -> float:
        """The difference of G after a round from a step that is computed here, against the D of that round."""
        before.discriminator.load_state_dict(after.discriminator.state_dict())
        before.set_rates(self.rounds)
        fake = before.generate("latents", self.rounds)
        verdict = before.judge(fake.samples)
        assert verdict.classes is not None
        assert fake.labels is not None
        payoff = F.logsigmoid(verdict.score) + log_likelihood(verdict.classes, fake.labels)
        weights = list(before.generator.parameters())
        for weight, gradient in zip(weights, torch.autograd.grad(-payoff.mean(), weights), strict=True):
            weight.grad = gradient
        before.optimizers["generator"].step()
        return furthest(after.generator, before.generator)

    def _without_attack(self, recipe: Recipe) -> float:
        plain = require_game(load(self.recipe, [f"seed={recipe.seed}", "regime=plain"]), self.recipe)
        idle = require_game(load(self.recipe, [f"seed={recipe.seed}", "regime.attack.epsilon=0"]), self.recipe)
        one, other = self._played(plain), self._played(idle)
        return max(furthest(one.generator, other.generator), furthest(one.discriminator, other.discriminator))


@dataclass
class WatchedRegime:
    """A regime that keeps the views that D is trained on.

    Args:
        regime: that updates D.
        views: in their order.
    """

    regime: Regime
    views: list[View] = field(default_factory=list)

    def update(self, d: DiscriminatorUpdate, real: Samples, fake: Samples) -> None:
        """D's update by the regime."""
        self.regime.update(_WatchedUpdate(d, self.views), real, fake)


class _WatchedUpdate:
    """D's update, passed on; `views` gets what D is shown."""

    def __init__(self, d: DiscriminatorUpdate, views: list[View]) -> None:
        self._d, self._views = d, views
        self.payoff, self.rng, self.mean, self.record, self.step = d.payoff, d.rng, d.mean, d.record, d.step
        self.kept = d.kept

    @property
    def round(self) -> int:
        return self._d.round

    @property
    def network(self) -> nn.Module:
        return self._d.network

    @property
    def space(self) -> Space:
        return self._d.space

    @property
    def couples_samples(self) -> bool:
        return self._d.couples_samples

    def show(self, view: View, gradients: Sequence[Origin] = ()) -> Mapping[Origin, Response]:
        self._views.append(view)
        return self._d.show(view, gradients)


def largest(one: Tensor, other: Tensor) -> float:
    """The largest absolute difference of two tensors."""
    return float((one - other).detach().abs().max())


def furthest(one: nn.Module, other: nn.Module) -> float:
    """The largest absolute difference of two networks' weights."""
    return max(largest(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
