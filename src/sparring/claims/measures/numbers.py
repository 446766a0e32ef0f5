"""Numbers and curves that a run logged, or that a computation returned."""

from __future__ import annotations

from typing import Literal

import numpy as np

from sparring.claims.measures.base import Measure
from sparring.claims.values import PlayedGame, SampledCurve, Value
from sparring.core.errors import UsageError
from sparring.core.pieces import piece
from sparring.core.records import Count
from sparring.report.metric_info import SUCCESS
from sparring.report.read import Floats, RunRecord, Series


@piece("computed")
class Computed(Measure):
    """A value of a computation.

    Args:
        value: its name.
    """

    value: str

    def of(self, game: PlayedGame) -> Value:
        if self.value not in game.computed:
            known = ", ".join(game.computed)
            raise UsageError(f"the computation has no value {self.value!r}", f"it has {known}")
        return game.computed[self.value]


@piece("final")
class Final(Measure):
    """The last value of a metric, from the summary of the run.

    Args:
        metric: its name.
        otherwise: in place of a number that a game does not have, as the rounds to a success that never came. Without
            it the game has no value; a game that failed is no success in any case.
    """

    metric: str
    otherwise: float | None = None

    def of(self, game: PlayedGame) -> Value:
        metrics = game.trained.metrics
        if self.metric not in metrics:
            raise _unknown(self.metric, game.trained, tuple(metrics))
        value = metrics[self.metric].estimates[game.index].value
        return self.otherwise if value is None else float(value)

    def of_failed(self, rounds: int) -> Value:
        return 0.0 if self.metric == SUCCESS and self.otherwise is None else self.otherwise

    def protocol(self, game: PlayedGame) -> str:
        return game.trained.metrics[self.metric].protocol


@piece("best")
class Best(Measure):
    """The best value of a metric over all measurements of a game: what papers report that keep the best checkpoint.

    Args:
        metric: its name in the log.
        better: `higher` or `lower`.
    """

    metric: str
    better: Literal["higher", "lower"]

    def of(self, game: PlayedGame) -> Value:
        _, values = logged(game, self.metric)
        known = values[np.isfinite(values)]
        if not len(known):
            return None
        return float(known.max() if self.better == "higher" else known.min())

    def protocol(self, game: PlayedGame) -> str:
        return f"the {self.better.removesuffix('er')}est of all measurements"


@piece("mean_of_last")
class MeanOfLast(Measure):
    """The mean of the last measurements of a metric.

    Args:
        metric: its name in the log.
        measurements: how many.
    """

    metric: str
    measurements: Count

    def of(self, game: PlayedGame) -> Value:
        _, values = logged(game, self.metric)
        known = values[-self.measurements :]
        return float(known.mean()) if np.isfinite(known).all() else None

    def protocol(self, game: PlayedGame) -> str:
        return f"mean of the last {self.measurements} measurements"


@piece("reached")
class Reached(Measure):
    """The first round at which a metric is at a level or beyond it.

    Args:
        metric: its name in the log.
        level: to reach.
        better: `higher` or `lower`.
        otherwise: in place of a round that never came; the rounds of the game if they are more.
    """

    metric: str
    level: float
    better: Literal["higher", "lower"]
    otherwise: float | None = None

    def of(self, game: PlayedGame) -> Value:
        steps, values = logged(game, self.metric)
        there = values >= self.level if self.better == "higher" else values <= self.level
        return float(steps[there][0]) if there.any() else self.of_failed(game.trained.recipe.steps)

    def of_failed(self, rounds: int) -> Value:
        return None if self.otherwise is None else max(self.otherwise, float(rounds))


@piece("curve")
class CurveOf(Measure):
    """A logged number over rounds, thinned to equal intervals.

    Args:
        metric: its name in the log.
        points: how many are kept at most.
    """

    metric: str
    points: Count = 40

    def of(self, game: PlayedGame) -> Value:
        steps, values = logged(game, self.metric)
        return thinned(steps, values, self.points)


def logged(game: PlayedGame, metric: str) -> tuple[Floats, Floats]:
    """Rounds and values of a logged number of one game; NaN where it has none.

    Raises:
        UsageError: the run did not log it.
    """
    series: Series | None = game.trained.series(metric)
    if series is None:
        raise _unknown(metric, game.trained, game.trained.logged)
    return series.steps, series.values[:, game.index]


def thinned(steps: Floats, values: Floats, points: int) -> SampledCurve:
    """A curve with so many points at most, at equal intervals; values to five digits, None where there is none."""
    kept = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), points)).round().astype(int))
    y = tuple(float(f"{value:.5g}") if np.isfinite(value) else None for value in values[kept])
    return SampledCurve(x=tuple(float(step) for step in steps[kept]), y=y)


def _unknown(metric: str, run: RunRecord, known: tuple[str, ...]) -> UsageError:
    return UsageError(f"{run.name}: has no number {metric!r}", f"it has {', '.join(known)}")
