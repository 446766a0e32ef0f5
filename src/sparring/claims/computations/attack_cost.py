"""What the attack and the second update of AS-GAN cost, in multiply-adds and in seconds.

Three rounds are compared: that of the baseline, one with two updates of D on the same clean samples, and the symmetric
one. Multiply-adds are those of matrix products and convolutions, forward and backward, by torch's own formulas.

Values: `round` and `attack`, the multiply-adds of a symmetric round less those of the baseline's, and less those of two
clean updates, as a share of the baseline's; `round_seconds` and `attack_seconds`, the same of the median processor
times.

Source: AS-GAN, abstract and section 3.3.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from sparring.claims.computations.base import Computation
from sparring.claims.computations.small_games import CPU, noise_source, recipe_of
from sparring.claims.values import Value
from sparring.core.multiply_adds import multiply_adds
from sparring.core.pieces import piece
from sparring.core.records import Count
from sparring.gan.state import GANState
from sparring.gan.step import DiscriminatorTurn, play_round, update_generator
from sparring.regimes import Plain

Round = Callable[[], object]


@piece("attack_cost")
class AttackCost(Computation):
    """Rounds of a recipe on images of random bytes.

    Args:
        recipe: with the symmetric regime.
        side: of the images, in pixels.
        channels: of the images.
        width: channels of both networks.
        turns: how often every round is timed, in turns.
    """

    recipe: str = "asgan/cifar10-dcgan"
    side: Count = 32
    channels: Count = 3
    width: Count = 128
    turns: Count = 10

    def compute(self, seed: int) -> Mapping[str, Value]:
        widths = {"generator.width": self.width, "discriminator.width": self.width}
        symmetric = self._game(seed, widths)
        plain, twice = (self._game(seed, widths | {"regime": {"name": "plain"}}) for _ in range(2))
        rounds: list[Round] = [
            lambda: play_round(plain, 0),
            lambda: _two_updates(twice),
            lambda: play_round(symmetric, 0),
        ]
        for each in rounds:
            each()  # the first round also asks whether D couples samples
        counts = [multiply_adds(each) for each in rounds]
        turns = [[_timed(each) for each in rounds] for _ in range(self.turns)]
        seconds = [statistics.median(times) for times in zip(*turns, strict=True)]
        return {
            "round": (counts[2] - counts[0]) / counts[0],
            "attack": (counts[2] - counts[1]) / counts[0],
            "round_seconds": (seconds[2] - seconds[0]) / seconds[0],
            "attack_seconds": (seconds[2] - seconds[1]) / seconds[0],
        }

    def _game(self, seed: int, changes: Mapping[str, Any]) -> GANState:
        return GANState(recipe_of(self.recipe, seed, changes), noise_source(self.side, self.channels, seed), CPU)


def _two_updates(game: GANState) -> None:
    real, fake = game.real_batch(0), game.generate("latents", 0)
    for _ in range(2):
        turn = DiscriminatorTurn(game, 0, 0, {"real": real.labels, "fake": fake.labels})
        Plain().update(turn, real.samples, fake.samples.detach())
    update_generator(game, fake, 0)
    game.end_round(0)


def _timed(work: Round) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began
