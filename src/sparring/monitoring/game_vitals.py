"""Vitals of a game: what G makes beside real samples, and what D leaves to learn from.

    spread = rms distance of samples from their mean, over that of real samples

Images are compared at no more than 32 pixels a side; slopes of payoffs with those of a D that is undecided.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.core.gradients import input_gradient
from sparring.core.modules import untraced
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, Scores, over_samples, sample_norm
from sparring.data import Batch
from sparring.gan.state import GANState
from sparring.metrics import ReferenceClassifier
from sparring.monitoring.vitals import Numbers, effective_number, noted
from sparring.networks import Verdict
from sparring.networks.precision import forward

SAMPLES = 128
"""Generated samples of a check and game, and at most as many real ones that D sees."""
ANCHORS = 256
"""Real samples, at most, that generated ones are compared with."""
PROBED = 64
"""Generated samples that the slope of D is taken at."""
FAR = 10.0
"""A score of this size leaves a logistic payoff a slope of 5e-5."""
SIDE = 32
"""Images are compared at this many pixels a side, at most."""
_TINY = 1e-30


class GameVitals:
    """What a game is checked with, the same at every check.

    Args:
        game: what is played.
        judge: a classifier of the data; without one a sample is of the class of its nearest anchor.
    """

    def __init__(self, game: GANState, classifier: ReferenceClassifier | None) -> None:
        self.game, self.classifier = game, classifier
        self._lead, self._classes = game.recipe.lead, len(game.source.facts.classes)
        held = game.source.held_out(2 * ANCHORS, rng=Rng.of(0, game.device))
        half = max(1, len(held.samples) // 2)
        self._labels = held.labels
        others = held.samples[-half:]
        shown = _each(held, lambda part: part[-half:][:SAMPLES])
        self._shown = _each(shown, lambda part: part.expand(*self._lead, *part.shape))
        self._range = _spread(others.flatten(1))
        self._anchors, flat = _flat(held.samples[:half], 1), _flat(others, 1)
        self._mean = flat.mean(0)
        self._spread = _spread(flat).clamp(min=_TINY)
        self._distance = torch.cdist(flat, self._anchors).amin(-1).mean().clamp(min=_TINY)

    @torch.no_grad()
    def measure(self, step: int) -> Numbers:
        """The numbers of `VITALS` that apply; a list with replicas."""
        game, lead = self.game, self._lead
        codes = game.recipe.generator.draw((*lead, SAMPLES), game.networks.space, rng=game.streams.rng("vitals", step))
        with untraced(game.networks):
            fake = Batch(forward(game.generator, codes.values, game.recipe.precision), codes.labels)
            found = self._of_generator(fake.samples) | self._of_discriminator(fake)
        return noted(found)

    def _of_generator(self, fake: Samples) -> dict[str, Tensor]:
        flat = _flat(fake, len(self._lead) + 1)
        distance, nearest = torch.cdist(flat, self._anchors.expand(*self._lead, *self._anchors.shape)).min(-1)
        found = {
            "vital_spread": _spread(flat) / self._spread,
            "vital_distance": over_samples(distance) / self._distance,
            "vital_radius": _rms(flat - self._mean) / self._spread,
            "vital_anchors": effective_number(nearest, len(self._anchors)),
        }
        return found | ({"vital_classes": self._classes_of(fake, nearest)} if self._classes else {})

    def _classes_of(self, fake: Samples, nearest: Tensor) -> Tensor:
        if self.classifier is None:
            assert self._labels is not None
            return effective_number(self._labels[nearest], self._classes)
        seen = self.classifier.extract(fake.flatten(0, len(self._lead))).logits.argmax(-1)
        return effective_number(seen.reshape(nearest.shape), self._classes)

    def _of_discriminator(self, fake: Batch) -> dict[str, Tensor]:
        game, objective, lead = self.game, self.game.rules.objective, len(self._lead)
        verdict = game.judge(self._shown.samples)
        real, made = self._score(verdict, self._shown.labels), self._scores(*fake)
        scores = torch.cat([real, made], dim=-1)
        deviation = scores.std(-1, correction=0)
        few = _each(fake, lambda part: part.narrow(lead, 0, PROBED))
        gradient = input_gradient(lambda x: self._scores(x, few.labels), few.samples).gradient
        moved = over_samples(sample_norm(gradient, lead + 1, eps=0.0)) * self._range
        found = {
            "vital_score_spread": deviation / scores.abs().amax(-1).clamp(min=_TINY),
            "vital_steepness": moved / deviation.clamp(min=_TINY),
            "vital_far": over_samples((scores.abs() > FAR).float()),
            "vital_slope_generator": _slope(objective.generator, made),
            "vital_slope_discriminator": _slope(lambda s: objective.real(s) + objective.fake(-s), scores.abs()),
        }
        if not game.recipe.class_loss.real.classes:
            return found
        assert verdict.classes is not None
        return found | {"vital_predicted": effective_number(verdict.classes.argmax(-1), self._classes)}

    def _scores(self, samples: Samples, labels: Tensor | None) -> Scores:
        return self._score(self.game.judge(samples), labels)

    def _score(self, verdict: Verdict, labels: Tensor | None) -> Scores:
        return self.game.recipe.discriminator.head.score(verdict, labels)


def _each(batch: Batch, pick: Callable[[Tensor], Tensor]) -> Batch:
    return Batch(pick(batch.samples), None if batch.labels is None else pick(batch.labels))


def _flat(samples: Samples, batch_axes: int) -> Tensor:
    """Samples as vectors `(*batch, features)`, of images that are not too large."""
    if samples.dim() - batch_axes == 3 and max(samples.shape[-2:]) > SIDE:
        batch = samples.shape[:batch_axes]
        samples = F.adaptive_avg_pool2d(samples.flatten(0, batch_axes - 1), SIDE)
        samples = samples.reshape(*batch, *samples.shape[1:])
    return samples.flatten(batch_axes)


def _rms(vectors: Tensor) -> Tensor:
    """The root of the mean squared norm: `(*batch, features) -> (*lead)`."""
    return over_samples(vectors.square().sum(-1)).sqrt()


def _spread(vectors: Tensor) -> Tensor:
    return _rms(vectors - vectors.mean(-2, keepdim=True))


def _slope(payoff: Callable[[Scores], Scores], scores: Scores) -> Tensor:
    """The mean size of a payoff's slope at scores, over its largest at scores from -1 to 1, of an undecided D."""
    undecided = torch.linspace(-1.0, 1.0, 21, device=scores.device).expand(*scores.shape[:-1], 21)
    steepest = input_gradient(payoff, undecided).gradient.abs().amax(-1)
    return over_samples(input_gradient(payoff, scores).gradient.abs()) / steepest.clamp(min=_TINY)
