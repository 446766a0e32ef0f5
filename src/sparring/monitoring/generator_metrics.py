"""Metrics of a generator: every registered metric that applies to the data, with intervals and protocols."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from sparring.core.intervals import wilson
from sparring.core.pieces import members
from sparring.core.process import SILENT, Progress
from sparring.core.randomness import Rng
from sparring.data import Source
from sparring.metrics import Metric, Reference
from sparring.monitoring.reference_networks import classifier_for, is_image_data, real_features
from sparring.recipes import Recipe
from sparring.runs.schema import MetricValue

COVERED = ("modes", "classes")
"""What a generator may cover."""
SAMPLES = 2048
"""Samples a game and measurement, during training."""
NO_FEATURES = (
    "images of fewer than two classes have no classifier, so no metric of features applies; name another extractor, "
    "such as {name: inception, weights: FILE}"
)
"""Said where `lacks_features`."""

Row = dict[str, Any]


class GeneratorMetrics:
    """The metrics that apply to a data set.

    Building them trains the classifier of labelled images, and computes the features of real images, unless both are in
    the cache.

    Args:
        recipe: of the generator; it names the extractor.
        source: the data.
        device: of the networks.
        samples: for each game and measurement.
        progress: of the preparation.

    Attributes:
        lacks_features: whether the data are images without a network to look at them, as those without labels are.

    Raises:
        UsageError, CorruptInput: the extractor's weights are missing, or not the published ones.
    """

    def __init__(
        self,
        recipe: Recipe,
        source: Source,
        device: torch.device,
        *,
        samples: int = SAMPLES,
        progress: Progress = SILENT,
    ) -> None:
        facts = source.facts
        classifier = cache(lambda: classifier_for(source, device, progress))
        extractor = recipe.extractor.choose(classifier, device) if is_image_data(facts) else None
        self.samples, self._lead = samples, recipe.lead
        self.lacks_features = extractor is None and is_image_data(facts)
        self._generator = measured_generator(recipe)
        self.reference = Reference(
            samples=source.held_out(SAMPLES, rng=Rng.of(0, device)).samples,
            centres=facts.centres,
            std=facts.std,
            classes=facts.classes,
            classifier=classifier(),
            real=None if extractor is None else real_features(source, extractor, samples, device, progress),
        )
        every = [cls() for cls in members(Metric).values()]
        self.metrics = [metric for metric in every if metric.applies(self.reference)]

    def measure(self, samples: Tensor, diverged: Collection[int] = ()) -> dict[str, Any]:
        """Every metric on the samples of every game; a list with replicas.

        Args:
            samples: `(*lead, n, ...)`.
            diverged: packed games that have no numbers any more, and are no success.
        """
        return self._measured(self.metrics, samples, diverged)

    def measure_live(self, samples: Tensor, diverged: Collection[int] = ()) -> dict[str, Any]:
        """`modes_live` or `classes_live`: how many G itself covers, where other numbers are of its running mean.

        Args:
            samples: of G itself, `(*lead, n, ...)`.
            diverged: as in `measure`.
        """
        numbers = self._measured([each for each in self.metrics if each.names[0] in COVERED], samples, diverged)
        return {f"{name}_live": numbers[name] for name in COVERED if name in numbers}

    def intervals(self, samples: Tensor, diverged: Collection[int] = ()) -> dict[str, Any]:
        """95 % intervals of numbers, as `measure` returns the numbers; they take longer."""
        if not self._lead:
            return dict(self._intervals_of_game(samples))
        games = [{} if game in diverged else self._intervals_of_game(each) for game, each in enumerate(samples)]
        names = dict.fromkeys(name for intervals in games for name in intervals)
        return {name: [intervals.get(name) for intervals in games] for name in names}

    def protocols(self) -> dict[str, str]:
        """The protocol of each metric, by name of the metric."""
        common = f"{self.samples:,} samples a game, {self._generator}"
        return {metric.name: f"{common}; {metric.protocol(self.reference, self.samples)}" for metric in self.metrics}

    def values(self, row: Row, intervals: Mapping[str, Any] = MappingProxyType({})) -> dict[str, MetricValue]:
        """The numbers of one measurement for summary.json, and the share of successful games.

        Shares of samples and of games have intervals.

        Args:
            row: the numbers.
            intervals: of other numbers, as `intervals` returns them.
        """
        protocols = self.protocols()
        values = {
            name: MetricValue(
                value=row[name],
                interval=_intervals(row[name], self.samples) if name in metric.shares else intervals.get(name),
                protocol=protocols[metric.name],
            )
            for metric in self.metrics
            for name in metric.names
        }
        for metric in self.metrics:
            live = f"{metric.names[0]}_live"
            if live in row:
                protocol = f"{self.samples:,} samples a game, G itself in eval mode; the rest as {metric.names[0]}"
                values[live] = MetricValue(value=row[live], protocol=protocol)
        if "success" in row:
            successes = _as_list(row["success"])
            values["success_rate"] = _rate(
                int(sum(successes)), len(successes), "games that are a success at this measurement"
            )
        return values

    def _measured(self, metrics: Sequence[Metric], samples: Tensor, diverged: Collection[int]) -> dict[str, Any]:
        """Numbers of some metrics; a list with replicas."""
        if not self._lead:
            return dict(self._of_game(metrics, samples))
        failed = {name: 0.0 if name == "success" else None for metric in metrics for name in metric.names}
        games = [failed if game in diverged else self._of_game(metrics, each) for game, each in enumerate(samples)]
        return {name: [numbers[name] for numbers in games] for name in games[0]}

    def _of_game(self, metrics: Sequence[Metric], samples: Tensor) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for metric in metrics:
            numbers |= metric.measure(samples, self.reference)
        return numbers

    def _intervals_of_game(self, samples: Tensor) -> dict[str, tuple[float, float]]:
        intervals: dict[str, tuple[float, float]] = {}
        for metric in self.metrics:
            intervals |= metric.intervals(samples, self.reference)
        return intervals


def measured_generator(recipe: Recipe) -> str:
    """Which weights of G are measured, and how, for protocols."""
    return f"generator in eval mode{f', EMA {recipe.ema:g} after warm-up' if recipe.ema else ''}"


def first_successes(rows: list[Row]) -> dict[str, MetricValue]:
    """When the games first succeeded, by the rows of all measurements."""
    if "success" not in rows[-1]:
        return {}
    games = zip(*(_as_list(row["success"]) for row in rows), strict=True)
    firsts = [next((row["step"] for row, success in zip(rows, game, strict=True) if success), None) for game in games]
    ever = sum(first is not None for first in firsts)
    return {
        "ever_success_rate": _rate(ever, len(firsts), "games that were a success at any measurement"),
        "steps_to_success": MetricValue(
            value=tuple(firsts) if len(firsts) > 1 else firsts[0],
            protocol="round of the first success; empty for games without one",
        ),
    }


def _rate(successes: int, games: int, protocol: str) -> MetricValue:
    return MetricValue(value=successes / games, interval=wilson(successes, games), protocol=protocol)


def _intervals(shares: float | list[float] | None, samples: int) -> Any:
    """The Wilson interval of a share of samples, or of each of a list."""
    if isinstance(shares, list):
        return [_intervals(share, samples) for share in shares]
    if shares is None:
        return None
    return wilson(round(shares * samples), samples)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
