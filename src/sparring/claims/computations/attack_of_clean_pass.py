"""Equations (9) and (13) of AS-GAN: the backward pass of D's own update already holds FGSM's gradient.

The attacked samples of our training step are compared with FGSM by a pass of its own, and with random corners of the
same ball.

Values: `same`, the share of entries in which the training step and FGSM by its own pass agree; `lowered`, by how much
the attack lowers D's mean score of real samples, in which its payoff rises; `best_corner`, by how much the best of the
random corners lowers it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from sparring.attacks import FGSM, Epsilon
from sparring.claims.computations.base import Computation
from sparring.claims.computations.small_games import game_of
from sparring.claims.computations.symmetric_round import Recorded, apart
from sparring.claims.values import Value
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.gan.step import play_round


@piece("attack_of_clean_pass")
class AttackOfCleanPass(Computation):
    """The perturbation of the training step, after some rounds.

    Args:
        recipe: the game.
        epsilon: of FGSM.
        rounds: played before.
        corners: random ones, of each sample.
    """

    recipe: str = "asgan/digits"
    epsilon: Epsilon = 4 / 255
    rounds: int = 50
    corners: Count = 256

    def compute(self, seed: int) -> Mapping[str, Value]:
        attack = FGSM(epsilon=self.epsilon)
        regime = {"name": "symmetric", "attack": {"name": "fgsm", "epsilon": self.epsilon}}
        game = game_of(self.recipe, seed, {"regime": regime})
        for step in range(self.rounds):
            play_round(game, step)
        x = game.real_batch(self.rounds).samples

        def fooled(samples: Tensor) -> Tensor:
            return -logsigmoid(game.score(samples))  # of V_m, all that depends on real samples

        discriminator = game.networks.discriminator
        own = attack(x, fooled, network=discriminator, space=game.space, rng=Rng.of(seed))
        with torch.no_grad():
            clean, attacked = (game.score(each) for each in (x, own))
            rng, lowest = Rng.of(seed), clean.clone()
            for _ in range(self.corners):
                corner = attack.confine(x, x + game.space.width * self.epsilon * rng.normal(x.shape).sign(), game.space)
                lowest = torch.minimum(lowest, game.score(corner))
        seen = Recorded(discriminator)
        play_round(game, self.rounds)
        return {
            "same": 1.0 - apart(seen.inputs[-3], own),
            "lowered": float((clean - attacked).mean()),
            "best_corner": float((clean - lowest).mean()),
        }
