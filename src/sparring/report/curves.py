"""Which charts a run has, and which several runs share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sparring.report.alarms import collapse_charts
from sparring.report.charts import BLUE, CYCLE, DASHES, VERMILLION, Chart, Line, Mark, lines_of
from sparring.report.kinds import kind_of
from sparring.report.metric_info import MEASURES, Measure, measured, telling, threshold
from sparring.report.read import Run

HIDDEN = frozenset({"success"} | {name for measure in MEASURES.values() for name in (measure.floor, measure.spread)})
"""Measures without a chart of their own."""
COMPARED = 8
"""Up to this many runs show the first chart of their kind side by side."""
TOLD_APART = 14
"""Up to this many runs share a chart."""


def charts(run: Run, key: str) -> list[Chart]:
    """Every chart of a run, the measures first, the collapse metrics last.

    Args:
        run: what to draw.
        key: a prefix that is unique on the page.
    """
    shown = [each for each in measured(run) if each.name not in HIDDEN]
    measures = [_measure_chart(run, each, f"{key}-measure-{place}") for place, each in enumerate(shown)]
    return [*measures, *kind_of(run).charts(run, key), *collapse_charts(run, key)]


def few_charts(run: Run, key: str) -> list[Chart]:
    """The two charts that tell most: the first measure, and the first of the run's kind."""
    measures = [_measure_chart(run, each, f"{key}-measure") for each in measured(run)[:1] if each.name not in HIDDEN]
    return [*measures, *kind_of(run).charts(run, key)[:1]]


def shared_charts(runs: Sequence[Run]) -> list[Chart]:
    """The means of the measures that tell most, one line a run; then the first chart of each run's kind."""
    kinds = dict.fromkeys(measure for run in runs for measure in telling(run))
    together = [_together(runs, measure, f"all-{place}") for place, measure in enumerate(kinds)]
    outputs = [
        replace(chart, title=f"{kind_of(run).heart} in run {index}: {run.name}")
        for index, run in enumerate(runs, start=1)
        for chart in kind_of(run).charts(run, f"all-{index}")[:1]
    ]
    return [*(together if len(runs) <= TOLD_APART else []), *(outputs if len(runs) <= COMPARED else [])]


def _together(runs: Sequence[Run], measure: Measure, key: str) -> Chart:
    lines = tuple(
        replace(line, dash=DASHES[index // len(CYCLE) % len(DASHES)], alone=True)
        for index, run in enumerate(runs)
        if not measure.is_attacked or measure in telling(run)
        for line in lines_of(run, measure.name, CYCLE[index % len(CYCLE)], f"run {index + 1}", measure.scale)
    )
    packed = any(run.recipe.replicas > 1 for run in runs if measure in telling(run))
    title = f"{measure.title}, {'mean over the games of each run' if packed else 'run by run'}"
    needs = {threshold(measure, run) for run in runs if measure in telling(run)}
    limits = (measure.lowest, 100.0 if measure.is_share else None)
    marks = tuple(Mark(need, "needed for a success") for need in needs if need is not None and len(needs) == 1)
    return Chart(key, title, measure.look, measure.unit, lines, marks, limits)


def _measure_chart(run: Run, measure: Measure, key: str) -> Chart:
    scale = measure.scale
    lines = lines_of(run, measure.name, VERMILLION, "mean" if run.recipe.replicas > 1 else kind_of(run).one, scale)
    floor = tuple(
        Line(measure.level, line.steps, line.values, BLUE, "--", alone=True)
        for line in lines_of(run, measure.floor, BLUE, "", scale)
    )
    needed = threshold(measure, run)
    marks = () if needed is None else (Mark(needed * scale, "needed for a success"),)
    limits = (measure.lowest, 100.0 if measure.is_share else None)
    return Chart(key, measure.title, measure.look, measure.unit, lines + floor, marks, limits)
