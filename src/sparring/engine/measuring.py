"""Measures of the generator at a moment of a run: every registered metric that applies to the data."""

from __future__ import annotations

import torch
from torch import Tensor

from sparring.data import Source
from sparring.engine.judging import judge_for
from sparring.metrics import Metric, Reference
from sparring.pieces import members
from sparring.randomness import Rng

SAMPLES = 2048
"""Samples a game and measurement."""


class Measures:
    """The metrics of a data set, ready to be applied.

    Args:
        source: the data; a classifier of labelled images is trained or taken from the cache here.
        device: where the game lives.
    """

    def __init__(self, source: Source, device: torch.device) -> None:
        facts = source.facts
        self.reference = Reference(
            samples=source.held_out(SAMPLES, rng=Rng.of(0, device)).samples,
            centres=facts.centres,
            std=facts.std,
            classes=facts.classes,
            judge=judge_for(source, device),
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

    def names(self) -> set[str]:
        """Every number that `measure` returns."""
        return {name for metric in self.metrics for name in metric.names}

    def protocols(self) -> dict[str, str]:
        """The criterion behind each metric's numbers, by metric name."""
        count = len(self.reference.samples)
        return {
            metric.name: f"{SAMPLES} samples a game, {count} held-out; {metric.protocol(self.reference)}"
            for metric in self.metrics
        }

    def _measure_one(self, samples: Tensor) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for metric in self.metrics:
            numbers |= metric.measure(samples, self.reference)
        return numbers
