"""Algorithm 1: rounds of our framework with gradient penalty, written out again and compared with the library's."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparring.claims.computations.base import Computation
from sparring.claims.computations.small_games import values_of
from sparring.core.eager_optimizers import EagerAdam
from sparring.core.pieces import piece
from sparring.core.records import Count, NonNegative
from sparring.feedback import HonestFeedback
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.lipschitz import GradientPenalty
from sparring.objectives import Objective, Tanh
from sparring.optimizers import Adam
from sparring.recipes import Optimizers, Recipe, load, require_game

_CPU = torch.device("cpu")
_RATE, _BETA1, _BETA2 = 1e-4, 0.0, 0.9
_WEIGHT, _CRITIC_STEPS = 10.0, 5


@piece("gradient_penalty_rounds")
class GradientPenaltyRounds(Computation):
    """Algorithm 1 for a few rounds on the ring, in the library and line by line, with the same draws.

    - `discriminator`, `generator`: the distance between the weights after both, over how far they moved.

    Args:
        objective: f_D = f_G of H-hat.
        rounds: of five updates of D and one of G.
        weight: lambda of the library's rounds; 10 in the algorithm.
        critic_steps: of the library's rounds; 5 in the algorithm.

    Source: Xu, Li, Jegelka, algorithm 1 in appendix C.1.
    """

    objective: Objective = Tanh()
    rounds: Count = 3
    weight: NonNegative = _WEIGHT
    critic_steps: Count = _CRITIC_STEPS

    def compute(self, seed: int) -> dict[str, float]:
        recipe = self._recipe(seed)
        source = recipe.data.open(_CPU)
        start, library, written = (GANState(recipe, source, _CPU) for _ in range(3))
        for step in range(self.rounds):
            play_round(library, step)
        self._algorithm_1(written)
        return {
            name: float((values_of(theirs) - values_of(ours)).norm() / (values_of(theirs) - values_of(first)).norm())
            for name, theirs, ours, first in (
                ("discriminator", written.discriminator, library.discriminator, start.discriminator),
                ("generator", written.generator, library.generator, start.generator),
            )
        }

    def _algorithm_1(self, game: GANState) -> None:
        """Lines 1 to 13; the game serves weights, real samples and random numbers."""
        d, g = game.discriminator, game.generator
        adam_d, adam_g = (EagerAdam(each.parameters(), lr=_RATE, betas=(_BETA1, _BETA2)) for each in (d, g))
        for step in range(self.rounds):
            for number in range(step * _CRITIC_STEPS, (step + 1) * _CRITIC_STEPS):
                real = game.real_batch(number).samples
                fake = game.generate("latents", number).samples.detach()
                share = game.own_streams.rng("lipschitz/0", number).uniform(real.shape[:1])[:, None]
                between = (share * real + (1 - share) * fake).requires_grad_()
                (slope,) = torch.autograd.grad(self._score(d, between).sum(), between, create_graph=True)
                penalty = (slope.square().sum(1).sqrt() - 1) ** 2
                f = self.objective.real
                loss = (f(self._score(d, fake)) - f(self._score(d, real)) + _WEIGHT * penalty).mean()
                adam_d.zero_grad()
                torch.autograd.backward(loss)
                adam_d.step()
            loss = -self.objective.real(self._score(d, game.generate("latents/fresh", step).samples)).mean()
            adam_g.zero_grad()
            torch.autograd.backward(loss)
            adam_g.step()

    def _score(self, discriminator: nn.Module, samples: Tensor) -> Tensor:
        score: Tensor = discriminator(samples).score
        return score

    def _recipe(self, seed: int) -> Recipe:
        recipe = require_game(load("dishonest/ring-small"), "gradient_penalty_rounds")
        adam = Adam(lr=_RATE, beta1=_BETA1, beta2=_BETA2)
        changes = {
            "objective": self.objective,
            "feedback": HonestFeedback(),
            "lipschitz": GradientPenalty(weight=self.weight),
            "critic_steps": self.critic_steps,
            "optimizers": Optimizers(generator=adam, discriminator=adam),
            "fresh_latents": True,
            "replicas": 1,
            "ema": 0.0,
            "seed": seed,
        }
        return recipe.model_copy(update=changes)
