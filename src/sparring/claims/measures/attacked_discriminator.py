"""The trained D of a game under an attack against its score: its confidences, and how coherent its gradients are.

D is loaded from the newest checkpoint, in eval mode; samples are held-out real ones where the data have them.

Source: AS-GAN, figures 1, 14 and 15.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sparring.attacks import FGSM
from sparring.claims.measures.base import Measure
from sparring.claims.values import PlayedGame, Value
from sparring.core.modules import evaluating, input_gradient, untraced
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import Samples, Scores
from sparring.gan.load import load_gan
from sparring.networks import forward

_ROUNDING = 1e-4


@dataclass(frozen=True)
class AttackedReal:
    """D's response to real samples `(n, ...)` and to their attacked versions; scores and probabilities are `(n)`."""

    real: Samples
    attacked: Samples
    gradient: Samples
    d_real: Scores
    d_attacked: Scores


def attack_real(game: PlayedGame, grey_levels: float, count: int) -> AttackedReal:
    """Attack the score of a game's D at real samples by FGSM.

    Args:
        game: a complete run.
        grey_levels: the budget, in grey levels of the data.
        count: how many real samples, the same for all games on the same data.

    Raises:
        UsageError, CorruptInput: the run has no sound checkpoint, or its data are missing.
    """
    loaded = load_gan(game.trained.folder, "cpu").game(game.index)
    discriminator, space = loaded.networks.discriminator, loaded.networks.space
    real = loaded.data().held_out(count, rng=Rng.of(0)).samples

    def score(samples: Samples) -> Scores:
        found: Scores = forward(discriminator, samples, loaded.recipe.precision).score
        return found

    with evaluating(discriminator), untraced(discriminator):
        clean = input_gradient(score, real)
        rng = loaded.streams.rng("claims/attack")
        attack = FGSM(epsilon=grey_levels * grey_level(real) / space.width)
        attacked = attack(real, lambda samples: -score(samples), network=discriminator, space=space, rng=rng)
        with torch.no_grad():
            after = score(attacked)
    return AttackedReal(real, attacked, clean.gradient, torch.sigmoid(clean.score), torch.sigmoid(after))


def grey_level(images: Samples) -> float:
    """The smallest difference between two values of the images: 1/8 for the digits, 2/255 for bytes in [-1, 1]."""
    steps = torch.unique(images).diff()
    return float(steps[steps > _ROUNDING].min())


@piece("attacked_confidence")
class AttackedConfidence(Measure):
    """The mean probability of "real" that the trained D gives to real samples, or to their attacked versions.

    Args:
        which: `real`, `attacked`, or `drop`, the first less the second.
        grey_levels: the budget of FGSM, in grey levels of the data: 1 is 1/255 for images of bytes.
        samples: how many.
    """

    which: Literal["real", "attacked", "drop"]
    grey_levels: float = 1.0
    samples: Count = 256

    def of(self, game: PlayedGame) -> Value:
        found = attack_real(game, self.grey_levels, self.samples)
        real, attacked = float(found.d_real.mean()), float(found.d_attacked.mean())
        return {"real": real, "attacked": attacked, "drop": real - attacked}[self.which]


@piece("gradient_coherence")
class GradientCoherence(Measure):
    """How much the slopes of D's score at neighbouring pixels agree: 0 for noise, 1 for a constant.

        mean over samples of   mean_{neighbours i, j} (g_i - m) (g_j - m)  /  mean_i (g_i - m)^2

    Neighbours share a side, m is the mean of a sample's gradient. This is Moran's I.

    Args:
        samples: how many real ones.

    Source: Moran 1950, Notes on continuous stochastic phenomena, section 2.
    """

    samples: Count = 256

    def of(self, game: PlayedGame) -> Value:
        return float(coherence(attack_real(game, 0.0, self.samples).gradient).mean())


def coherence(gradient: Tensor) -> Tensor:
    """Moran's I of every image `(n, channels, height, width)` with neighbours that share a side; 0 for a constant."""
    centred = (gradient - gradient.mean((-2, -1), keepdim=True)).double()
    across = centred[..., 1:] * centred[..., :-1]
    down = centred[..., 1:, :] * centred[..., :-1, :]
    pairs = torch.cat([across.flatten(1), down.flatten(1)], dim=1).mean(1)
    return pairs / centred.square().flatten(1).mean(1).clamp(min=torch.finfo(torch.float64).tiny)
