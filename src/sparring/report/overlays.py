"""Overlays: one chart a measure, a line and a band for each group of games.

The line is the mean over the games of a group, the band its 95 % interval: Student's t over seeds, mean -+ t s /
sqrt(n); Wilson's for successes. Where games were measured at different places, as over seconds, their values are
interpolated linearly in between. A game that has ended or diverged is in no mean from then on, and the caption says so.

Source: AS-GAN, figures 4, 5b; Direct Adversarial Training for GANs, figures 4, 5, 7; Rob-GAN, figures 2, 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sparring.core.errors import UsageError
from sparring.report.charts import CYCLE, DASHES, DISTINCT, Chart, Curve, Mark, spans_decades
from sparring.report.format import counted
from sparring.report.groups import Group, group_games
from sparring.report.horizontal import LABELS, Unit, positions
from sparring.report.measures import LoggedMeasure, find_measures
from sparring.report.metric_info import PRIMARY, SUCCESS, threshold
from sparring.report.read import Floats, RunRecord
from sparring.report.seed_mean import seed_interval

_POINTS = 500
"""Places of a line, at most."""


@dataclass(frozen=True)
class Comparison:
    """How several runs are compared.

    Args:
        measures: names; the main ones by default.
        group_by: dotted keys of the recipe that games of a group share; by default all that differ, but for the seed.
        unit: what is drawn over.
        levels: `MEASURE=VALUE` each, for the time that it takes to get there.
    """

    measures: tuple[str, ...] = ()
    group_by: tuple[str, ...] = ()
    unit: Unit = "rounds"
    levels: tuple[str, ...] = ()


ALL = Comparison()
"""The main measures over rounds, by all settings that differ."""


@dataclass(frozen=True)
class Overlays:
    """Charts with a line for each group.

    Args:
        title: what the charts are over, and the keys by which games are grouped.
        charts: one for each measure.
    """

    title: str
    charts: tuple[Chart, ...]


def overlays(runs: Sequence[RunRecord], comparison: Comparison) -> Overlays:
    """A chart for every measure.

    Raises:
        UsageError: no run logged a measure, no recipe has a key, a run has no such unit; or more groups are asked for
            than a chart has different lines. By default there are no charts then.
    """
    groups = group_games(runs, comparison.group_by)
    if len(groups) > DISTINCT:
        if comparison.measures or comparison.group_by:
            cause = f"{len(groups)} groups, and a chart has at most {DISTINCT} different lines"
            raise UsageError(cause, "give fewer keys with --group-by")
        return Overlays("", ())
    measures = find_measures(runs, comparison.measures)
    keys = " and ".join(groups[0].settings) if groups else ""
    charts = [_overlay(groups, each, comparison.unit, f"all-{place}") for place, each in enumerate(measures)]
    return Overlays(
        title=f"Measures over {comparison.unit}{f', by {keys}' if keys else ''}",
        charts=tuple(chart for chart in charts if chart.curves),
    )


def aligned(places: Sequence[Floats], values: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Curves of several games on common places.

    Args:
        places: of each game, `(n_i)`, ascending.
        values: of each game, `(n_i)`.

    Returns:
        Places `(n)`, and the values `(n, games)` there, interpolated linearly; NaN before the first and after the last
        place of a game.
    """
    union = np.unique(np.concatenate(places))
    chosen = np.linspace(0, len(union) - 1, min(len(union), _POINTS)).round().astype(int)
    grid = union[chosen]
    columns = [np.interp(grid, *each, left=np.nan, right=np.nan) for each in zip(places, values, strict=True)]
    return grid, np.stack(columns, axis=1)


def _overlay(groups: Sequence[Group], measure: LoggedMeasure, unit: Unit, key: str) -> Chart:
    info, curves, members = measure.info, list[Curve](), list[Group]()
    logged = [series.values for group in groups for game in group.games if (series := game.series(info.name))]
    measure = replace(measure, is_log=measure.is_log or (measure.limits[1] is None and spans_decades(logged)))
    for index, group in enumerate(groups):
        games = tuple(game for game in group.games if measure.is_of(game.run))
        if any(game.series(info.name) for game in games):
            members.append(Group(group.settings, games))
            curves.append(_curve(members[-1], measure, unit, index))
    runs = [game.run for group in members for game in group.games]
    return Chart(
        key=key,
        title=info.title,
        caption=f"{info.caption} {_caption(members, measure, unit)}".strip(),
        unit=info.unit,
        curves=tuple(curves),
        marks=_marks(runs, measure),
        limits=_limits(runs, measure),
        is_log=measure.is_log,
        across=LABELS[unit],
        is_whole=unit not in ("epochs", "seconds"),
        name=info.name,
    )


def _curve(group: Group, measure: LoggedMeasure, unit: Unit, index: int) -> Curve:
    series = [(game.run, each) for game in group.games if (each := game.series(measure.info.name))]
    places = [positions(run, each.steps, unit) for run, each in series]
    grid, values = aligned(places, [each.values[:, 0] for _, each in series])
    bounds = np.array([_bounds(measure, row[np.isfinite(row)].tolist()) for row in values])
    scale = measure.info.scale
    return Curve(
        label=group.label,
        steps=grid,
        values=scale * values,
        colour=CYCLE[index % len(CYCLE)],
        dash=DASHES[index // len(CYCLE) % len(DASHES)],
        mean_only=True,
        band=scale * bounds if len(group.games) > 1 else None,
    )


def _bounds(measure: LoggedMeasure, numbers: list[float]) -> tuple[float, float]:
    """The band at one place: NaN where there is one game, or none."""
    if len(numbers) < 2:
        return np.nan, np.nan
    low, high = seed_interval(measure.info, numbers) or (numbers[0], numbers[0])
    return (min(numbers) if measure.is_log and low <= 0 else low), high  # a logarithmic axis has no place for 0


def _limits(runs: Sequence[RunRecord], measure: LoggedMeasure) -> tuple[float | None, float | None]:
    """Of the value axis: no band rises above the number of modes or classes."""
    needs = [threshold(measure.info, run) for run in runs] if measure.info.name in PRIMARY else []
    known = [need for need in needs if need is not None]
    return measure.limits[0], 1.05 * max(known) if known else measure.limits[1]


def _marks(runs: Sequence[RunRecord], measure: LoggedMeasure) -> tuple[Mark, ...]:
    """What a success needs, and the reference of a metric, if they are the same in all runs and rounds."""
    info = measure.info
    needs = {threshold(info, run) for run in runs}
    marks = [Mark(need * info.scale, "needed for a success") for need in needs if need is not None and len(needs) == 1]
    series = [run.series(info.reference) for run in runs if info.name not in PRIMARY]
    references = {float(value) for each in series if each for value in each.values.flat}
    if series and all(series) and len(references) == 1:
        marks.append(Mark(references.pop() * info.scale, info.reference_label))
    return tuple(marks)


def _caption(groups: Sequence[Group], measure: LoggedMeasure, unit: Unit) -> str:
    """Of how many games the lines are means, what the bands are, and which games left the means."""
    counts = [len(group.games) for group in groups]
    if max(counts, default=0) <= 1:
        return "One game each."
    same = len(set(counts)) == 1
    numbers = f"{counts[0]} games" if same else ", ".join(f"{group.label}: {len(group.games)}" for group in groups)
    band = "Wilson" if measure.info.name == SUCCESS else "Student's t"
    text = f"Mean over {numbers}{' each' if same and len(groups) > 1 else ''}, with its 95 % interval ({band})."
    return " ".join([text, *filter(None, (_losses(group, measure, unit) for group in groups))])


def _losses(group: Group, measure: LoggedMeasure, unit: Unit) -> str:
    """How many games of a group have no value at its last place, in rounds or in the unit of the axis."""
    name = measure.info.name
    last = max(series.steps[-1] for game in group.games if (series := game.run.series(name)))
    ends = [series.steps[-1] if (series := game.series(name)) else 0.0 for game in group.games]
    short = sum(end < last for end in ends)
    if short:
        games = counted(len(ends), "game")
        return f"{group.label}: {short} of {games} stopped or diverged early and left the mean there."
    places = [positions(game.run, each.steps, unit)[-1] for game in group.games if (each := game.series(name))]
    sooner = sum(place < max(places) for place in places)
    if not sooner:
        return ""
    return f"{group.label}: {sooner} of {counted(len(places), 'game')} ended sooner and left the mean there."
