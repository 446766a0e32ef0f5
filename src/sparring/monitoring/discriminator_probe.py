"""D on real, generated and attacked samples, by the same attack in every run whatever its regime.

D is in eval mode and is restored afterwards. Generated samples are those of G itself, not of its running mean. The
gradient is that of the score, which does not vanish where D is sure; the attack is one step of FGSM against the score.

Source: AS-GAN, figures 1, 5 and 6, at its default epsilon.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from sparring.attacks import FGSM
from sparring.core.descent import require_finite
from sparring.core.modules import evaluating, input_gradient, untraced
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, Scores, Space, over_samples, sample_norm
from sparring.data import Source
from sparring.gan.sampling import GAN, draw
from sparring.metrics import wasserstein1
from sparring.metrics.input_gradients import absolute_sum, sparsity
from sparring.networks import Verdict, forward

PROBED = 256
"""Real samples of a probe, at most, and as many generated ones."""
ATTACK = FGSM(epsilon=1 / 255)
"""The attack of every probe."""
_AT_ONCE = 64
"""Samples a backward pass."""


class Probed(NamedTuple):
    """D's scores and gradients at real samples, and its scores of their attacked versions; batch axes first."""

    real: Samples
    gradient: Samples
    adversarial: Samples
    score: Scores
    score_adversarial: Scores


class DiscriminatorProbe:
    """Probes a discriminator on the same real samples at every moment.

    Args:
        source: the data.
        device: of the networks.
    """

    def __init__(self, source: Source, device: torch.device) -> None:
        self.space = source.facts.space
        self._evaluated_on = source.facts.evaluated_on
        self.real = source.held_out(PROBED, rng=Rng.of(0, device)).samples
        self._are_points = len(self.space.shape) == 1

    def attack(self, gan: GAN, number: int, count: int = PROBED) -> Probed:
        """D on the first `count` real samples, in every game.

        Args:
            gan: whose D is attacked.
            number: of the moment, for the attack's random stream.
            count: how many samples.
        """
        lead = gan.recipe.lead
        real = self.real[:count].expand(*lead, *self.real[:count].shape)
        rng = gan.streams.rng("probe/attack", number)
        with undisturbed(gan):
            parts = [_attack(gan, part, self.space, rng) for part in torch.split(real, _AT_ONCE, dim=len(lead))]
        return Probed(*(torch.cat(each, dim=len(lead)) for each in zip(*parts, strict=True)))

    def measure(self, gan: GAN, step: int) -> dict[str, float | list[float]]:
        """The numbers of `protocols`; a list with replicas.

        Raises:
            NonFinite: one of them, or a sample of G, is not finite.
        """
        probed, axes = self.attack(gan, step), len(gan.recipe.lead) + 1
        count, generator = probed.score.shape[-1], gan.networks.generator
        fake = draw(gan, count, "probe/latents", step, generator=generator).samples
        with undisturbed(gan), torch.no_grad():
            parts = torch.split(fake, _AT_ONCE, dim=axes - 1)
            score_fake = torch.cat([score_of(gan, part) for part in parts], dim=axes - 1)
        norm = sample_norm(probed.gradient, axes)
        numbers = {
            "probe_d_real": over_samples(torch.sigmoid(probed.score)),
            "probe_d_adversarial": over_samples(torch.sigmoid(probed.score_adversarial)),
            "probe_d_fake": over_samples(torch.sigmoid(score_fake)),
            "input_gradient_l1": over_samples(absolute_sum(probed.gradient, axes)),
            "input_gradient_sparsity": over_samples(sparsity(probed.gradient, axes)),
            "input_gradient_norm": over_samples(norm),
            "input_gradient_norm_max": norm.amax(-1),
            "critic_distance": over_samples(probed.score) - over_samples(score_fake),
        }
        if self._are_points:
            numbers["wasserstein1"] = _wasserstein1(probed.real, fake)
        require_finite(f"round {step}", numbers, gan.diverged)
        return {name: values.tolist() for name, values in numbers.items()}

    def protocols(self) -> dict[str, str]:
        """The definition of every number of `measure`."""
        real, count = f"{len(self.real)} {self._evaluated_on} real samples", len(self.real)
        outputs = (
            f"mean sigmoid(score) of D in eval mode on {real}, on the same ones attacked "
            f"(FGSM against the score, {ATTACK.describe_size(self.space)}), and on {count} fresh ones of G itself"
        )
        gradient = f"gradient of D's score, in eval mode, with respect to each of {real}"
        norms = f"{gradient}: mean L1 norm, mean and largest Euclidean norm, in score per unit of the data's own range"
        protocols = dict.fromkeys(("probe_d_real", "probe_d_adversarial", "probe_d_fake"), outputs) | {
            "input_gradient_l1": norms,
            "input_gradient_sparsity": f"{gradient}: mean of Hoyer's (sqrt n - L1/L2) / (sqrt n - 1), in [0, 1]",
            "input_gradient_norm": norms,
            "input_gradient_norm_max": norms,
            "critic_distance": f"mean score of D in eval mode on {real}, less that on {count} of G itself",
        }
        if self._are_points:
            protocols["wasserstein1"] = f"exact, between the {count} real and the generated points of critic_distance"
        return protocols


@contextmanager
def undisturbed(gan: GAN) -> Iterator[None]:
    """D in eval mode within the block; D and random states are restored after it."""
    discriminator = gan.networks.discriminator
    with evaluating(discriminator), untraced(discriminator):
        yield


def score_of(gan: GAN, samples: Samples) -> Scores:
    """D's scores `(*batch)` in fp32, under the recipe's precision."""
    verdict: Verdict = forward(gan.networks.discriminator, samples, gan.recipe.precision)
    return verdict.score


def _attack(gan: GAN, real: Samples, space: Space, rng: Rng) -> Probed:
    score, gradient = input_gradient(lambda samples: score_of(gan, samples), real)
    adversarial = ATTACK.from_gradient(real, -gradient, space=space, rng=rng)
    with torch.no_grad():
        return Probed(real, gradient, adversarial, score, score_of(gan, adversarial))


def _wasserstein1(real: Samples, fake: Samples) -> Tensor:
    """The exact distance between the point clouds of each game, `(*lead)`; NaN where a point is not finite."""
    clouds = zip(*(x.reshape(-1, *x.shape[-2:]) for x in (real, fake)), strict=True)
    games = [wasserstein1(a, b) if bool(b.isfinite().all()) else math.nan for a, b in clouds]
    return torch.tensor(games, dtype=torch.float64).reshape(real.shape[:-2])
