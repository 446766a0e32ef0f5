"""The records of summary.json: written by training, read by reports and tables."""

from __future__ import annotations

from statistics import fmean
from typing import Any, NamedTuple

from pydantic import Field, model_validator

from sparring.runs.stored_record import StoredRecord

SUMMARY = "summary.json"
"""Its name in a run folder."""

Number = int | float | None
"""The value of a metric; None is a success that never came."""
Interval = tuple[float, float]
"""The lower and upper bound of a 95 % interval."""


class Estimate(NamedTuple):
    """One number with its 95 % interval, if it has one."""

    value: Number
    interval: Interval | None = None


class MetricValue(StoredRecord):
    """The final value of a metric: one number, or with replicas one for each game.

    Args:
        value: the number or the numbers.
        interval: of each number; None where it has none.
        protocol: what was measured, and how.
    """

    value: Number | tuple[Number, ...]
    interval: Interval | tuple[Interval | None, ...] | None = None
    protocol: str = ""

    @model_validator(mode="after")
    def _one_interval_for_each_value(self) -> MetricValue:
        if len(self._intervals) != len(self._values):
            raise ValueError("not one interval for each value")
        return self

    @property
    def is_per_game(self) -> bool:
        """Whether every game has its own number."""
        return isinstance(self.value, tuple)

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """The number of each game, or the one number of the run."""
        return tuple(map(Estimate, self._values, self._intervals))

    @property
    def mean(self) -> Number:
        """The mean over the games that have a number."""
        known = [value for value in self._values if value is not None]
        return fmean(known) if known else None

    @property
    def _values(self) -> tuple[Number, ...]:
        return self.value if isinstance(self.value, tuple) else (self.value,)

    @property
    def _intervals(self) -> tuple[Any, ...]:
        if self.interval is None:
            return (None,) * len(self._values)
        return self.interval if self.is_per_game else (self.interval,)


class Alarm(StoredRecord):
    """A symptom of a collapse that persisted.

    Args:
        step: the round at which the alarm was raised.
        until: the round of the first check without the symptom; None if it lasted to the end.
        game: index of the packed game.
        kind: of the collapse.
        cause, remedy: one line each.
    """

    step: int
    until: int | None
    game: int
    kind: str
    cause: str
    remedy: str

    @property
    def lasts(self) -> bool:
        """Whether it held to the end."""
        return self.until is None


class Summary(StoredRecord):
    """summary.json: how a run ended.

    Args:
        recipe: as plain values.
        steps: rounds trained.
        status: `complete`, or why the run ended.
        seconds: of training, measurements included.
        preparation_seconds: before that, in the last call: data, networks, and what metrics compare with.
        verdict: what happened, in one sentence; empty in runs of earlier versions.
        metrics: final values by name.
        alarms: every collapse, oldest first.
        images, epochs: real samples that each game was trained on, and as a multiple of the training split, if it ends.
        parameters: of each network, a game.
    """

    recipe: dict[str, Any] = Field(default_factory=dict)
    steps: int
    status: str
    seconds: float
    preparation_seconds: float = 0.0
    verdict: str = ""
    metrics: dict[str, MetricValue]
    alarms: tuple[Alarm, ...] = ()
    images: int | None = None
    epochs: float | None = None
    parameters: dict[str, int] = Field(default_factory=dict)
