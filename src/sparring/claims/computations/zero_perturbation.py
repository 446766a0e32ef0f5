"""Section 3.4 of AS-GAN: with epsilon = 0 the method updates D twice on the same real and generated samples.

Values: `difference`, the relative distance of D after a symmetric round with epsilon 0 from D after two updates of the
plain regime on the same batch; `from_one`, the same from a single update.
"""

from __future__ import annotations

from collections.abc import Mapping

from sparring.claims.computations.base import Computation
from sparring.claims.computations.small_games import game_of, relative_error, values_of
from sparring.claims.values import Value
from sparring.core.pieces import piece
from sparring.gan.step import DiscriminatorTurn, play_round
from sparring.regimes import Plain


@piece("zero_perturbation")
class ZeroPerturbation(Computation):
    """A symmetric round without a budget, and plain updates on its batch.

    Args:
        recipe: the game.
    """

    recipe: str = "asgan/digits"

    def compute(self, seed: int) -> Mapping[str, Value]:
        regime = {"name": "symmetric", "attack": {"name": "fgsm", "epsilon": 0.0}}
        game, plain = (game_of(self.recipe, seed, {"regime": regime}) for _ in range(2))
        start = values_of(game.networks.discriminator)
        play_round(game, 0)
        moved = values_of(game.networks.discriminator) - start
        real, fake = plain.real_batch(0), plain.generate("latents", 0)
        steps = []
        for _ in range(2):
            turn = DiscriminatorTurn(plain, 0, 0, {"real": real.labels, "fake": fake.labels})
            Plain().update(turn, real.samples, fake.samples.detach())
            steps.append(values_of(plain.networks.discriminator) - start)
        return {"difference": relative_error(moved, steps[1]), "from_one": relative_error(moved, steps[0])}
