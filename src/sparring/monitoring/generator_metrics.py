"""Measures of the generator at a moment of a run: every registered metric that applies to the data."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from sparring.core.pieces import members
from sparring.core.randomness import Rng
from sparring.data import Source
from sparring.metrics import Metric, Reference, ReferenceClassifier
from sparring.monitoring.reference_networks import classifier_for, real_features, shows_images
from sparring.recipes import Recipe

SAMPLES = 2048
"""Samples a game and measurement, during training."""


class Measures:
    """The metrics of a data set, ready to be applied.

    A classifier of labelled images is trained or taken from the cache here, and so is what the extractor sees in
    real images.

    Args:
        recipe: whose generator is measured, and by which extractor.
        source: the data.
        device: where the game lives.
        samples: samples a game and measurement.

    Raises:
        UsageError, CorruptInput: the extractor's weights are missing, or not what they should be.
    """

    def __init__(self, recipe: Recipe, source: Source, device: torch.device, *, samples: int = SAMPLES) -> None:
        facts = source.facts
        classifier = cache(lambda: classifier_for(source, device))
        extractor = recipe.extractor.choose(classifier, device) if shows_images(facts) else None
        self.samples = samples
        self._generator = f"generator in eval mode{f', EMA {recipe.ema:g}' if recipe.ema else ''}"
        self.reference = Reference(
            samples=source.held_out(SAMPLES, rng=Rng.of(0, device)).samples,
            centres=facts.centres,
            std=facts.std,
            classes=facts.classes,
            classifier=classifier(),
            real=None if extractor is None else real_features(source, extractor, samples, device),
        )
        every = [cls() for cls in members(Metric).values()]
        self.metrics = [metric for metric in every if metric.applies(self.reference)]

    def measure(self, samples: Tensor, *, packed: bool) -> dict[str, float | list[float]]:
        """Every metric on the samples of every game; a list with replicas.

        Args:
            samples: `(n, ...)`, or `(replicas, n, ...)` if packed.
            packed: whether the leading axis counts games.
        """
        if not packed:
            return dict(self._measure_one(samples))
        found = [self._measure_one(each) for each in samples.unbind(0)]
        return {name: [numbers[name] for numbers in found] for name in found[0]}

    @property
    def classifier(self) -> ReferenceClassifier | None:
        """The classifier of the data, or None."""
        return self.reference.classifier

    def names(self) -> set[str]:
        """Every number that `measure` returns."""
        return {name for metric in self.metrics for name in metric.names}

    def protocols(self) -> dict[str, str]:
        """The criterion behind each metric's numbers, by metric name."""
        common = f"{self.samples:,} samples a game, {self._generator}"
        return {metric.name: f"{common}; {metric.protocol(self.reference, self.samples)}" for metric in self.metrics}

    def _measure_one(self, samples: Tensor) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for metric in self.metrics:
            numbers |= metric.measure(samples, self.reference)
        return numbers
