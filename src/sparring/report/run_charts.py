"""Which charts a run has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from sparring.attacks import Attack, in_scales
from sparring.monitoring.alarms import CONSTANT, FEW, FLAT, NARROW, SURE
from sparring.monitoring.discriminator_probe import ATTACK
from sparring.objectives import Wasserstein
from sparring.recipes import ClassifierRecipe, Recipe
from sparring.regimes import AdversarialRegime
from sparring.report.chart_specs import CHARTS, ChartSpec, CurveSpec
from sparring.report.charts import BLUE, COLOURS, PURPLE, VERMILLION, Chart, Curve, Mark, spans_decades
from sparring.report.format import number
from sparring.report.metric_info import MetricInfo, hidden, metrics_of, threshold
from sparring.report.read import RunRecord
from sparring.report.strips import histogram

_COMPARED = 8
"""Up to this many runs show their first chart side by side."""


def charts(run: RunRecord, key: str) -> list[Chart]:
    """Every chart of a run: metrics, training, collapse.

    Args:
        run: what to draw.
        key: a prefix that is unique on the page.
    """
    shown = [metric for metric in metrics_of(run) if metric.name not in hidden(run.logged)]
    metrics = [_metric_chart(run, metric, f"{key}-metric-{place}") for place, metric in enumerate(shown)]
    return [*metrics, *_training(run, key), *_drawn(run, "collapse", key)]


def few_charts(run: RunRecord, key: str) -> list[Chart]:
    """The two most important charts: the primary metric, and the first chart of training."""
    first = [metric for metric in metrics_of(run)[:1] if metric.name not in hidden(run.logged)]
    return [*(_metric_chart(run, metric, f"{key}-metric") for metric in first), *_training(run, key)[:1]]


def first_charts(runs: Sequence[RunRecord]) -> list[Chart]:
    """The first chart of training of every run, side by side; none of too many runs."""
    if len(runs) > _COMPARED:
        return []
    return [
        replace(chart, title=f"{chart.title}, run {index}: {run.name}")
        for index, run in enumerate(runs, start=1)
        for chart in _training(run, f"all-{index}")[:1]
    ]


def _training(run: RunRecord, key: str) -> list[Chart]:
    """The charts of training."""
    recipe = run.recipe
    if isinstance(recipe, ClassifierRecipe):
        return _drawn(run, "classifier", key)
    drawn = _drawn(run, "gan", key)
    if recipe.data.bounded:
        drawn += [*_drawn(run, "probe", key), *histogram(run, key)]
    if isinstance(recipe.objective, Wasserstein):
        drawn += _drawn(run, "critic", key)
    if isinstance(recipe.regime, AdversarialRegime):
        drawn += _drawn(run, "attacks_on_d", key)
    return drawn


def _drawn(run: RunRecord, group: str, key: str) -> list[Chart]:
    """The charts of a group of the table that have a curve in this run's log."""
    words, marks = texts(run), _marks(run)
    found = []
    for spec in CHARTS[group]:
        curves = tuple(curve for each in spec.curves if (curve := _curve(run, each, spec)))
        if curves:
            lines = tuple(marks[name] for name in spec.marks if name in marks)
            caption, unit = spec.caption.format_map(words).strip(), spec.unit.format_map(words)
            chart = Chart(f"{key}-{spec.key}", spec.title, caption, unit, curves, lines, spec.limits, spec.is_log)
            found.append(replace(chart, name=spec.key))
    return found


def _curve(run: RunRecord, spec: CurveSpec, chart: ChartSpec) -> Curve | None:
    series, other = run.series(spec.metric), run.series(spec.minus)
    if series is None or (spec.needs and run.series(spec.needs) is None):
        return None
    values = spec.scale * (series.values - other.values if other else series.values)
    if chart.hides_zeros and not values.any():
        return None
    drawn = values if chart.lowest is None else np.maximum(values, chart.lowest)
    return Curve(spec.label, series.steps, drawn, COLOURS[spec.colour], spec.dash)


def texts(run: RunRecord) -> dict[str, str]:
    """The texts in braces of the table."""
    recipe, attack = run.recipe, _training_attack(run)
    is_critic = isinstance(recipe, Recipe) and isinstance(recipe.objective, Wasserstein)
    is_bounded = recipe.data.bounded
    size = "" if attack is None else in_scales(attack.epsilon) if is_bounded else number(attack.epsilon)
    return {
        "output": "sigmoid of the critic's score" if is_critic else "D(x), probability of real",
        "probe_size": in_scales(ATTACK.epsilon),
        "epsilon_note": f"Epsilon is {size}." if attack is not None and attack.ball.limited else "",
        "norm": attack.ball.norm if attack is not None else "",
        "units": "units of [0, 1]" if is_bounded else "units of the data",
    }


def _marks(run: RunRecord) -> dict[str, Mark]:
    """The horizontal lines of the table, by name."""
    recipe, attack = run.recipe, _training_attack(run)
    marks = {"one mode": NARROW, "constant": CONSTANT, "saturated": FLAT}
    marks |= {"one class": FEW} if "collapse_classes" in run.logged else {}
    marks |= {"one predicted class": SURE} if "collapse_predicted" in run.logged else {}
    found = {name: Mark(value, name) for name, value in marks.items()}
    if attack is not None and attack.ball.limited:
        found["epsilon"] = Mark(attack.epsilon, "epsilon")
    if isinstance(recipe, Recipe) and not isinstance(recipe.objective, Wasserstein):
        found["undecided"] = Mark(0.5, "undecided")
    if isinstance(recipe, Recipe) and not recipe.class_loss.needs_logits:
        score = torch.zeros(())
        found["payoff"] = Mark(float(recipe.objective.real(score) + recipe.objective.fake(score)), "D undecided")
    return found


def _training_attack(run: RunRecord) -> Attack | None:
    recipe = run.recipe
    if isinstance(recipe, ClassifierRecipe):
        return recipe.attack
    return recipe.regime.attack if isinstance(recipe.regime, AdversarialRegime) else None


def _metric_chart(run: RunRecord, metric: MetricInfo, key: str) -> Chart:
    """One metric of one run, with its reference."""
    curves = [
        Curve(label, series.steps, metric.scale * series.values, colour, dash, mean_only=name != metric.name)
        for name, label, colour, dash in (
            (metric.name, _label(run, metric), VERMILLION, "-"),
            (metric.live, "G itself", PURPLE, ":"),
            (metric.reference, metric.reference_label, BLUE, "--"),
        )
        if (series := run.series(name))
    ]
    need = threshold(metric, run)
    marks = () if need is None else (Mark(need * metric.scale, "needed for a success"),)
    is_log = not metric.is_share and spans_decades(curve.values for curve in curves)
    chart = Chart(key, metric.title, metric.caption, metric.unit, tuple(curves), marks, limits_of(metric), is_log)
    return replace(chart, name=metric.name)


def _label(run: RunRecord, metric: MetricInfo) -> str:
    """Of what a metric is."""
    if run.recipe.replicas > 1:
        return "mean"
    return "running mean of G" if run.series(metric.live) else metric.label


def limits_of(metric: MetricInfo) -> tuple[float | None, float | None]:
    """Of the value axis: shares end at 100 %."""
    return metric.lowest, 100.0 if metric.is_share else None
