"""Collapse metrics: cheap numbers, measured at fifty checks a run, that show whether a network has collapsed.

    spread = rms distance of samples from their mean, over that of real samples
    effective number of shares p = exp(-sum p log p)

Networks are in training mode, G itself and not its running mean, and are restored afterwards. Images are compared at no
more than 32 pixels a side. Slopes of payoffs are relative to those at the scores of an undecided D.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.classifier.state import ClassifierState
from sparring.core.modules import input_gradient, untraced
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, Scores, over_samples, sample_norm
from sparring.data import Batch
from sparring.gan.state import GANState
from sparring.metrics import ReferenceClassifier
from sparring.networks import Verdict, forward

CHECKS = 50
"""Checks a run: every 2 % of the budget, whatever the interval of the log."""
COLLAPSE_METRICS = {
    "collapse_spread": "spread of generated samples over that of real ones",
    "collapse_distance": "mean distance of generated samples to the nearest anchor, over that of other real samples",
    "collapse_radius": "rms distance of generated samples from the mean of real ones, over that of real samples",
    "collapse_anchors": "effective number of anchors that generated samples are nearest to",
    "collapse_classes": "effective number of classes of generated samples",
    "collapse_score_spread": "standard deviation of D's scores over the largest of them",
    "collapse_steepness": "change of D's score over the spread of the data, in standard deviations of its scores",
    "collapse_far": "share of scores beyond 10",
    "collapse_slope_generator": "slope of G's payoff at its samples' scores, over the largest near 0",
    "collapse_slope_discriminator": "slope of D's payoffs at correct scores of its size, over the largest near 0",
    "collapse_predicted": "effective number of classes predicted for real samples",
    "collapse_robust_drop": "how far the robust accuracy on validation samples is below its best",
}
"""Every collapse metric, with its definition."""

SAMPLES = 128
"""Generated samples of a check and game, and at most as many real ones that D sees."""
ANCHORS = 256
"""Real samples, at most, that generated ones are compared with."""
STEEPNESS_SAMPLES = 64
"""Generated samples at which the slope of D is taken."""
CLASSIFIER_SAMPLES = 256
"""Held-out samples of a classifier's check, at most."""
FAR = 10.0
"""At a score of this size a logistic payoff has a slope of 5e-5."""
SIDE = 32
"""Images are compared at this many pixels a side, at most."""
FEWEST = 32
"""With fewer held-out samples, training samples take their place."""
LEAST_TO_DRAW = 1.75
"""Effective number of classes of real samples below which one class in all generated ones is no collapse."""
LEAST_TO_PREDICT = 1.1
"""The same for one class in all predictions."""
_TINY = 1e-30


def check_interval(steps: int) -> int:
    """The number of rounds between two checks."""
    return max(1, steps // CHECKS)


def effective_number(labels: Tensor, count: int) -> Tensor:
    """exp(entropy) of the shares of `count` labels: `(*batch) -> (*lead)`, between 1 and `count`."""
    shares = F.one_hot(labels, count).double().mean(-2)
    number: Tensor = torch.special.entr(shares).sum(-1).exp()
    return number


class ClassifierCollapseMetrics:
    """The collapse metrics of a classifier in training.

    Args:
        state: the classifier.
    """

    def __init__(self, state: ClassifierState) -> None:
        self.state = state
        held_out = state.source.held_out(CLASSIFIER_SAMPLES, rng=Rng.of(0, state.device))
        self._real, self._classes = held_out.samples, _classes_in(held_out, len(state.source.facts.classes))

    @torch.no_grad()
    def measure(self) -> dict[str, Any]:
        """The metrics that apply."""
        with untraced(self.state.network):
            logits = self.state.classify(self._real)
        selected = self.state.selected
        predicted = float(effective_number(logits.argmax(-1), logits.shape[-1]))
        metrics = {"collapse_predicted": predicted} if self._classes > LEAST_TO_PREDICT else {}
        return metrics | ({"collapse_robust_drop": selected.drop} if selected else {})


class GANCollapseMetrics:
    """The collapse metrics of a game, on the same real samples at every check.

    Args:
        game: what is trained.
        classifier: of the data; without one a sample has the class of its nearest anchor.
    """

    def __init__(self, game: GANState, classifier: ReferenceClassifier | None) -> None:
        self.game, self.classifier = game, classifier
        self._lead, self._classes = game.recipe.lead, len(game.source.facts.classes)
        held_out = game.source.held_out(2 * ANCHORS, rng=Rng.of(0, game.device))
        if len(held_out.samples) < FEWEST:
            rows = game.source.training_set(2 * ANCHORS, game.streams)
            held_out = Batch(rows.samples[: 2 * ANCHORS], rows.labels)
        half = max(1, len(held_out.samples) // 2)
        self._labels, self._real_classes = held_out.labels, _classes_in(held_out, self._classes)
        others = held_out.samples[-half:]
        real = _map(held_out, lambda part: part[-half:][:SAMPLES])
        self._real = _map(real, lambda part: part.expand(*self._lead, *part.shape))
        self._range = _spread(others.flatten(1))
        self._anchors, flat = _flat(held_out.samples[:half], 1), _flat(others, 1)
        self._mean = flat.mean(0)
        self._spread = _spread(flat).clamp(min=_TINY)
        self._distance = torch.cdist(flat, self._anchors).amin(-1).mean().clamp(min=_TINY)

    @torch.no_grad()
    def measure(self, step: int) -> dict[str, Any]:
        """The metrics that apply; a list with replicas."""
        game, lead = self.game, self._lead
        codes = game.recipe.generator.draw(
            (*lead, SAMPLES), game.networks.space, rng=game.streams.rng("collapse", step)
        )
        with untraced(game.networks):
            fake = Batch(forward(game.generator, codes.values, game.recipe.precision), codes.labels)
            metrics = self._of_generator(fake.samples) | self._of_discriminator(fake)
        return {name: values.tolist() for name, values in metrics.items()}

    def _of_generator(self, fake: Samples) -> dict[str, Tensor]:
        flat = _flat(fake, len(self._lead) + 1)
        distance, nearest = torch.cdist(flat, self._anchors.expand(*self._lead, *self._anchors.shape)).min(-1)
        metrics = {
            "collapse_spread": _spread(flat) / self._spread,
            "collapse_distance": over_samples(distance) / self._distance,
            "collapse_radius": _rms(flat - self._mean) / self._spread,
            "collapse_anchors": effective_number(nearest, len(self._anchors)),
        }
        return metrics | (
            {"collapse_classes": self._classes_of(fake, nearest)} if self._real_classes > LEAST_TO_DRAW else {}
        )

    def _classes_of(self, fake: Samples, nearest: Tensor) -> Tensor:
        if self.classifier is None:
            assert self._labels is not None
            return effective_number(self._labels[nearest], self._classes)
        predicted = self.classifier.extract(fake.flatten(0, len(self._lead))).logits.argmax(-1)
        return effective_number(predicted.reshape(nearest.shape), self._classes)

    def _of_discriminator(self, fake: Batch) -> dict[str, Tensor]:
        game, objective, lead = self.game, self.game.recipe.objective, len(self._lead)
        verdict = game.judge(self._real.samples)
        real, made = self._score(verdict, self._real.labels), self._scores(*fake)
        scores = torch.cat([real, made], dim=-1)
        deviation = scores.std(-1, correction=0)
        few = _map(fake, lambda part: part.narrow(lead, 0, STEEPNESS_SAMPLES))
        gradient = input_gradient(lambda x: self._scores(x, few.labels), few.samples).gradient
        change = over_samples(sample_norm(gradient, lead + 1, eps=0.0)) * self._range
        metrics = {
            "collapse_score_spread": deviation / scores.abs().amax(-1).clamp(min=_TINY),
            "collapse_steepness": change / deviation.clamp(min=_TINY),
            "collapse_far": over_samples((scores.abs() > FAR).float()),
            "collapse_slope_generator": _slope(objective.generator, made),
            "collapse_slope_discriminator": _slope(lambda s: objective.real(s) + objective.fake(-s), scores.abs()),
        }
        if not game.recipe.class_loss.real.classes or self._real_classes <= LEAST_TO_PREDICT:
            return metrics
        assert verdict.classes is not None
        return metrics | {"collapse_predicted": effective_number(verdict.classes.argmax(-1), self._classes)}

    def _scores(self, samples: Samples, labels: Tensor | None) -> Scores:
        return self._score(self.game.judge(samples), labels)

    def _score(self, verdict: Verdict, labels: Tensor | None) -> Scores:
        return self.game.recipe.discriminator.head.score(verdict, labels)


def _classes_in(real: Batch, count: int) -> float:
    """The effective number of classes of real samples; of data without labels, how many there are to predict."""
    return float(count if real.labels is None else effective_number(real.labels, count))


def _map(batch: Batch, function: Callable[[Tensor], Tensor]) -> Batch:
    return Batch(function(batch.samples), None if batch.labels is None else function(batch.labels))


def _flat(samples: Samples, batch_axes: int) -> Tensor:
    """Samples as vectors `(*batch, features)`; large images are pooled first."""
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
    """The mean absolute slope of a payoff at scores, over its largest at scores from -1 to 1."""
    undecided = torch.linspace(-1.0, 1.0, 21, device=scores.device).expand(*scores.shape[:-1], 21)
    steepest = input_gradient(payoff, undecided).gradient.abs().amax(-1)
    return over_samples(input_gradient(payoff, scores).gradient.abs()) / steepest.clamp(min=_TINY)
