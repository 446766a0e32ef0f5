"""The table of a run's final numbers: a value for each game, its interval, its best, and the protocol behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sparring.report.format import number, percent
from sparring.report.metric_info import OF_D, Measure, measure_of, measured
from sparring.report.read import Run
from sparring.runs.schema import Estimate, MetricValue, Number


@dataclass(frozen=True)
class Entry:
    """One number with its interval, both in words."""

    value: str
    interval: str = ""


@dataclass(frozen=True)
class Row:
    """One metric: a number for each game, or one for all of them.

    Args:
        title: of the metric.
        kind: `final` or `best`, empty where there is only one.
        games: an entry for each game; empty where the number belongs to all games together.
        whole: the mean over games, or that one number.
        note: the number of the protocol below the table; 0 without one.
    """

    title: str
    kind: str
    games: tuple[Entry, ...]
    whole: Entry
    note: int


@dataclass(frozen=True)
class Table:
    """Rows of final numbers and the protocols that they refer to, numbered from 1."""

    rows: tuple[Row, ...]
    protocols: tuple[str, ...]


@dataclass(frozen=True)
class Endurance:
    """How many attacks D stands on the samples of one side.

    Args:
        what: whom D takes for whom.
        attacks: their mean number.
        reached, overshot: shares of the samples.
        published: the mean number of DAT's figure 1, without and with adversarial training.
    """

    what: str
    attacks: str
    reached: str
    overshot: str
    published: tuple[str, str]


def final_table(run: Run) -> Table:
    """The generator's numbers of summary.json, or while there is none the last measured ones."""
    return _table(run, {name: entry for name, entry in _metrics(run).items() if name not in OF_D})


def table_of_d(run: Run) -> Table:
    """The discriminator's numbers."""
    return _table(run, {name: entry for name, entry in _metrics(run).items() if name in OF_D})


def endurance(run: Run) -> tuple[Endurance, ...]:
    """The attack study at the end of a run, both ways; nothing where it was not made."""
    metrics = run.metrics
    if not metrics.keys() >= _STUDIED:
        return ()

    def mean(name: str) -> float:
        value = metrics[name].mean
        return float("nan") if value is None else value

    return tuple(
        Endurance(
            what, number(mean(name)), percent(mean(f"{name}_reached")), percent(mean(f"{name}_overshot")), published
        )
        for name, what, published in (
            ("attacks_fake", "generated for real", ("3.2", "37.36")),
            ("attacks_real", "real for generated", ("3.88", "7.44")),
        )
    )


_STUDIED = {f"attacks_{side}{part}" for side in ("fake", "real") for part in ("", "_reached", "_overshot")}


def _metrics(run: Run) -> Mapping[str, MetricValue]:
    return run.metrics or _last_measured(run)


def _table(run: Run, metrics: Mapping[str, MetricValue]) -> Table:
    protocols = tuple(dict.fromkeys(entry.protocol for entry in metrics.values() if entry.protocol))
    rows: list[Row] = []
    for name, entry in metrics.items():
        measure = measure_of(name)
        note = protocols.index(entry.protocol) + 1 if entry.protocol else 0
        best = _best(run, measure, note)
        rows.append(_row(measure, entry, "final" if best else "", note))
        rows += [best] if best else []
    return Table(tuple(rows), protocols)


def mean_final(run: Run, measure: Measure) -> float | None:
    """The mean over games of the last measurement."""
    series = run.series(measure.name)
    return None if series is None else float(series.values[-1].mean())


def _last_measured(run: Run) -> dict[str, MetricValue]:
    found: dict[str, MetricValue] = {}
    of_d = (measure_of(name) for name in run.logged if name in OF_D)
    for measure in (*measured(run), *of_d):
        series = run.series(measure.name)
        if series is not None:
            found[measure.name] = MetricValue(value=tuple(series.values[-1].tolist()))
    return found


def _row(measure: Measure, metric: MetricValue, kind: str, note: int) -> Row:
    each = tuple(_entry(measure, estimate) for estimate in metric.estimates)
    if len(each) == 1:
        return Row(measure.title, kind, (), each[0], note)
    return Row(measure.title, kind, each, Entry(_shown(measure, metric.mean)), note)


def _entry(measure: Measure, estimate: Estimate) -> Entry:
    return Entry(_shown(measure, estimate.value), _span(estimate.interval))


def _best(run: Run, measure: Measure, note: int) -> Row | None:
    """The best measurement of every game, with its round; None without a clear direction."""
    series = run.series(measure.name)
    if series is None or not measure.better or measure.name == "success":
        return None
    signed = series.values if measure.better == "higher" else -series.values
    at = np.argmax(np.nan_to_num(signed, nan=-np.inf), axis=0)
    values = series.values[at, np.arange(len(at))]
    each = tuple(
        Entry(_shown(measure, float(value)), f"round {number(float(series.steps[step]))}")
        for value, step in zip(values, at, strict=True)
    )
    if len(each) == 1:
        return Row(measure.title, "best", (), each[0], note)
    return Row(measure.title, "best", each, Entry(_shown(measure, float(values.mean()))), note)


def _shown(measure: Measure, value: Number) -> str:
    """A value in the unit of its measure; None is a success that never came."""
    if value is None:
        return "never"
    return f"{100 * value:.1f} %" if measure.is_share or measure.name.endswith("success_rate") else number(value)


def _span(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"[{percent(interval[0])}, {percent(interval[1])}]"
