"""The tables of final numbers: a value for each game with its interval, its best measurement, and its protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sparring.core.intervals import percent
from sparring.report.format import NONE, number, share_interval
from sparring.report.metric_info import OF_D, MetricInfo, metric_info, metrics_of
from sparring.report.read import RunRecord
from sparring.runs.schema import MetricValue, Number

_Cell = tuple[str, str]
"""A number and its interval or round, as text."""


@dataclass(frozen=True)
class NumberRow:
    """One metric.

    Args:
        title: of the metric.
        kind: `final` or `best`; empty if there is no best.
        games: a number and its interval for each game; empty if there is one number for all games.
        whole: the mean over games, or that one number.
        note: index of the protocol below the table, from 1; 0 without one.
    """

    title: str
    kind: str
    games: tuple[_Cell, ...]
    whole: _Cell
    note: int


@dataclass(frozen=True)
class NumberTable:
    """Rows of final numbers, and the protocols that they refer to."""

    rows: tuple[NumberRow, ...]
    protocols: tuple[str, ...]


def number_tables(run: RunRecord) -> tuple[NumberTable, NumberTable]:
    """The numbers of the generator or classifier, and those of the discriminator.

    They are those of summary.json, or the last measured ones if there is none.
    """
    metrics = run.metrics or _last_measured(run)
    of_d = {name: metric for name, metric in metrics.items() if name in OF_D}
    return _table(run, {name: metric for name, metric in metrics.items() if name not in OF_D}), _table(run, of_d)


def _last_measured(run: RunRecord) -> dict[str, MetricValue]:
    names = [*(metric.name for metric in metrics_of(run)), *(name for name in run.logged if name in OF_D)]
    logged = {name: series for name in names if (series := run.series(name))}
    return {name: MetricValue(value=tuple(map(_known, series.values[-1].tolist()))) for name, series in logged.items()}


def _table(run: RunRecord, metrics: Mapping[str, MetricValue]) -> NumberTable:
    protocols = tuple(dict.fromkeys(metric.protocol for metric in metrics.values() if metric.protocol))
    rows: list[NumberRow] = []
    for name, metric in metrics.items():
        info = metric_info(name)
        note = protocols.index(metric.protocol) + 1 if metric.protocol else 0
        final = [(_shown(info, each.value), share_interval(each.interval)) for each in metric.estimates]
        best = _best(run, info)
        rows.append(_row(info.title, "final" if best else "", final, _shown(info, metric.mean), note))
        if best:
            rows.append(_row(info.title, "best", *best, note))
    return NumberTable(tuple(rows), protocols)


def _row(title: str, kind: str, games: list[_Cell], mean: str, note: int) -> NumberRow:
    is_one = len(games) == 1
    return NumberRow(title, kind, () if is_one else tuple(games), games[0] if is_one else (mean, ""), note)


def _best(run: RunRecord, info: MetricInfo) -> tuple[list[_Cell], str] | None:
    """The best measurement of every game with its round, and the mean; None without a better direction."""
    series = run.series(info.name)
    if series is None or not info.better or info.name == "success":
        return None
    signed = series.values if info.better == "higher" else -series.values
    places = np.argmax(np.nan_to_num(signed, nan=-np.inf), axis=0)
    values = series.values[places, np.arange(len(places))]
    rounds = series.steps[places]
    games = [
        (_shown(info, value), "" if value is None else f"round {number(at)}")
        for value, at in zip(map(_known, values), rounds, strict=True)
    ]
    known = values[np.isfinite(values)]
    return games, _shown(info, known.mean() if len(known) else None)


def _known(value: float) -> float | None:
    """A number, or None for that of a game that had none."""
    return value if math.isfinite(value) else None


def _shown(info: MetricInfo, value: Number) -> str:
    """A value in the unit of its metric."""
    if value is None:
        return info.none or NONE
    return percent(value) if info.is_share else number(value)
