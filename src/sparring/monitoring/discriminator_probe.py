"""A probe: D at a moment, on real, generated and attacked samples, by the same attack in every run whatever its regime.

D is in eval mode, left without a trace, and faces G itself, not G's running mean. The gradient is that of the score,
so that it does not vanish where D is sure; the attack lowers the score by one step of FGSM along it.

Source: AS-GAN, figures 1, 5 and 6, at its default epsilon.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from sparring.attacks import FGSM
from sparring.core.gradients import absolute_sum, input_gradient, sparsity
from sparring.core.modules import evaluating, untraced
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Samples, Scores, over_samples, sample_norm
from sparring.data import Source
from sparring.gan.sampling import draw, require_finite
from sparring.gan.state import Networks
from sparring.metrics import wasserstein1
from sparring.networks.precision import judge
from sparring.recipes import Recipe

PROBED = 256
"""Real samples of a probe, at most, and as many generated ones."""
ATTACK = FGSM(epsilon=1 / 255)
"""The attack of every probe."""
_AT_ONCE = 64
"""Samples a backward pass."""


@runtime_checkable
class Playing(Protocol):
    """A game, or its networks alone."""

    @property
    def recipe(self) -> Recipe:
        """What is played."""

    @property
    def networks(self) -> Networks:
        """Both networks."""

    @property
    def streams(self) -> Streams:
        """Random streams."""


class Look(NamedTuple):
    """What D makes of real samples and of their attacked versions; the leading axes are a batch's."""

    real: Samples
    gradient: Samples
    adversarial: Samples
    score: Scores
    score_adversarial: Scores


class Probe:
    """The samples that D is probed on, the same ones at every moment.

    Args:
        source: the data.
        device: where the game lives.
    """

    def __init__(self, source: Source, device: torch.device) -> None:
        self.space = source.facts.space
        self._evaluated_on = source.facts.evaluated_on
        self.real = source.held_out(PROBED, rng=Rng.of(0, device)).samples
        self._are_points = len(self.space.shape) == 1

    def look(self, playing: Playing, number: int, count: int = PROBED) -> Look:
        """D on the first `count` real samples of every game.

        Args:
            playing: whose D it is.
            number: of the moment, for the attack's random stream.
            count: how many samples.
        """
        lead = playing.recipe.lead
        real = self.real[:count].expand(*lead, *self.real[:count].shape)
        rng = playing.streams.rng("probe/attack", number)
        with undisturbed(playing):
            looks = [_look(playing, part, self, rng) for part in torch.split(real, _AT_ONCE, dim=len(lead))]
        return Look(*(torch.cat(parts, dim=len(lead)) for parts in zip(*looks, strict=True)))

    def measure(self, playing: Playing, step: int) -> dict[str, float | list[float]]:
        """The numbers of `protocols`; a list with replicas.

        Raises:
            NonFinite: one of them, or a sample of G, is not finite.
        """
        seen, axes = self.look(playing, step), len(playing.recipe.lead) + 1
        generator, space, count = playing.networks.generator, playing.networks.space, seen.score.shape[-1]
        fake = draw(playing.recipe, generator, space, playing.streams, count, "probe/latents", step).samples
        with undisturbed(playing), torch.no_grad():
            parts = torch.split(fake, _AT_ONCE, dim=axes - 1)
            score_fake = torch.cat([score_of(playing, part) for part in parts], dim=axes - 1)
        norm = sample_norm(seen.gradient, axes)
        found = {
            "probe_d_real": over_samples(torch.sigmoid(seen.score)),
            "probe_d_adversarial": over_samples(torch.sigmoid(seen.score_adversarial)),
            "probe_d_fake": over_samples(torch.sigmoid(score_fake)),
            "input_gradient_l1": over_samples(absolute_sum(seen.gradient, axes)),
            "input_gradient_sparsity": over_samples(sparsity(seen.gradient, axes)),
            "input_gradient_norm": over_samples(norm),
            "input_gradient_norm_max": norm.amax(-1),
            "critic_distance": over_samples(seen.score) - over_samples(score_fake),
        }
        if self._are_points:
            found["wasserstein1"] = _exact(seen.real, fake)
        require_finite(f"round {step}", found)
        return {name: values.tolist() for name, values in found.items()}

    def protocols(self) -> dict[str, str]:
        """What every number of `measure` is."""
        real, count = f"{len(self.real)} {self._evaluated_on} real samples", len(self.real)
        outputs = (
            f"mean sigmoid(score) of D in eval mode on {real}, on the same ones attacked "
            f"(FGSM against the score, {ATTACK.describe_size(self.space)}), and on {count} fresh ones of G itself"
        )
        gradient = f"gradient of D's score, in eval mode, with respect to each of {real}"
        norms = f"{gradient}: mean L1 norm, mean and largest Euclidean norm, in score per unit of the data's own range"
        return (
            dict.fromkeys(("probe_d_real", "probe_d_adversarial", "probe_d_fake"), outputs)
            | {
                "input_gradient_l1": norms,
                "input_gradient_sparsity": f"{gradient}: mean of Hoyer's (sqrt n - L1/L2) / (sqrt n - 1), in [0, 1]",
                "input_gradient_norm": norms,
                "input_gradient_norm_max": norms,
                "critic_distance": f"mean score of D in eval mode on {real}, less that on {count} of G itself",
            }
            | self._exact_protocol()
        )

    def _exact_protocol(self) -> dict[str, str]:
        if not self._are_points:
            return {}
        return {"wasserstein1": f"exact, between the {len(self.real)} real and the generated points of critic_distance"}


@contextmanager
def undisturbed(playing: Playing) -> Iterator[None]:
    """D in eval mode for the block, and afterwards as if nobody had looked."""
    discriminator = playing.networks.discriminator
    with evaluating(discriminator), untraced(discriminator):
        yield


def score_of(playing: Playing, samples: Samples) -> Scores:
    """D's scores `(*batch)` in fp32, under the recipe's precision."""
    return judge(playing.networks.discriminator, samples, playing.recipe.precision).score


def _look(playing: Playing, real: Samples, probe: Probe, rng: Rng) -> Look:
    seen = input_gradient(lambda samples: score_of(playing, samples), real)
    adversarial = ATTACK.from_gradient(real, -seen.gradient, space=probe.space, rng=rng)
    with torch.no_grad():
        return Look(real, seen.gradient, adversarial, seen.score, score_of(playing, adversarial))


def _exact(real: Samples, fake: Samples) -> Tensor:
    """The exact distance of every game's clouds, of shape `(*lead)`."""
    games = [wasserstein1(a, b) for a, b in zip(*(x.reshape(-1, *x.shape[-2:]) for x in (real, fake)), strict=True)]
    return torch.tensor(games, dtype=torch.float64).reshape(real.shape[:-2])
