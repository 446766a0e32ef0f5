"""The table of metrics, metrics.yaml: how each is shown; and which metrics a run has."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from sparring.attacks import main_attack
from sparring.core.intervals import percent
from sparring.data import Mixture
from sparring.metrics import Classes
from sparring.recipes import ClassifierRecipe
from sparring.report.chart_specs import is_of_training, load_table
from sparring.report.format import number
from sparring.report.read import RunRecord

Better = Literal["higher", "lower", ""]


@dataclass(frozen=True)
class MetricInfo:
    """How a metric is shown.

    Args:
        name: in the log.
        title: of its chart and its row.
        unit: the label of its axis.
        better: the better direction, if there is one.
        caption: how to read the chart.
        is_share: shown in percent.
        lowest: where its axis starts; None where values may be negative.
        reference: name of the same metric on other samples, or by another criterion, drawn beside it.
        reference_label: in the legend.
        live: name of the same metric of G itself, where this one is of the running mean.
        label: of its own curve, if all games are of one set of samples.
        spread: name of its standard deviation, which has no chart.
        singular: the unit of exactly one.
        is_attacked: measured under the main attack of the recipe.
        none: in place of the number of a game that has none.
    """

    name: str
    title: str
    unit: str = ""
    better: Better = ""
    caption: str = ""
    is_share: bool = False
    lowest: float | None = 0.0
    reference: str = ""
    reference_label: str = "floor: real against real"
    live: str = ""
    label: str = "game"
    spread: str = ""
    singular: str = ""
    is_attacked: bool = False
    none: str = ""

    @property
    def scale(self) -> float:
        """Factor from a value to what is drawn."""
        return 100.0 if self.is_share else 1.0

    def short(self, value: float | int | None) -> str:
        """A value without its unit; shares in percent."""
        return percent(value) if self.is_share and value is not None else number(value)

    def amount(self, value: float | int | None) -> str:
        """A value with its unit."""
        if value is None or not self.unit:
            return number(value)
        if self.is_share:
            return percent(value, 0)
        return f"{number(value)} {self.singular if value == 1 and self.singular else self.unit}"


_TABLE = {group: [MetricInfo(**row) for row in rows] for group, rows in load_table("metrics.yaml").items()}
METRICS = {metric.name: metric for group in _TABLE.values() for metric in group}
OF_D = frozenset(metric.name for metric in _TABLE["of_the_discriminator"])
"""Metrics of the discriminator."""
SUCCESS, FIRST_SUCCESS = "success", "steps_to_success"
PRIMARY = ("modes", "classes")
"""What a success is about, in order of preference."""


def hidden(logged: Collection[str]) -> set[str]:
    """Metrics without a chart of their own: a success, and what is drawn beside another metric that was logged."""
    shown = [each for each in METRICS.values() if each.name in logged]
    beside = {name for each in shown for name in (each.reference, each.live, each.spread)}
    return {SUCCESS} | beside


def metric_info(name: str) -> MetricInfo:
    """How a metric is shown; an unknown one is shown under its name."""
    return METRICS.get(
        name, MetricInfo(name, name, name, caption="A metric of the generator over rounds.", lowest=None)
    )


def metrics_of(run: RunRecord) -> list[MetricInfo]:
    """The metrics of the generator or classifier that a run logged, those of a success first."""
    names = [name for name in run.logged if name not in OF_D and not is_of_training(name)]
    ordered = sorted(names, key=lambda name: (name not in PRIMARY, names.index(name)))
    return [info_in(run, metric_info(name)) for name in ordered]


def primary(run: RunRecord) -> MetricInfo | None:
    """The most important metric of a run."""
    return next(iter(metrics_of(run)), None)


def main_metrics(run: RunRecord) -> list[MetricInfo]:
    """The metrics that runs are compared by, the primary one first."""
    metrics = metrics_of(run)
    return metrics[:1] + [metric for metric in metrics[1:] if metric.is_attacked and metric.better]


def mean_final(run: RunRecord, metric: MetricInfo) -> float | None:
    """The mean of the last measurement over the games that have one."""
    series = run.series(metric.name)
    known = series.values[-1][np.isfinite(series.values[-1])] if series else ()
    return float(np.mean(known)) if len(known) else None


def target_count(run: RunRecord) -> int | None:
    """How many modes or classes there are to learn; None if the data do not say."""
    data = run.recipe.data
    if isinstance(data, Mixture):
        return len(data.centres())
    if "classes" not in run.logged:
        return None
    return len(run.facts.classes) or None if run.facts else None


def threshold(metric: MetricInfo, run: RunRecord) -> float | None:
    """The value of a metric that a success needs, if there is one."""
    if metric.name in PRIMARY:
        return float(target_count(run) or 0) or None
    criterion = Classes()
    return {"total_variation": criterion.total_variation, "recognisable": criterion.recognisable}.get(metric.name)


def info_in(run: RunRecord, metric: MetricInfo) -> MetricInfo:
    """The metric of a run, with its attack in the title: accuracies under different attacks do not compare."""
    if not (metric.is_attacked and isinstance(run.recipe, ClassifierRecipe)):
        return metric
    attack = main_attack(run.recipe.trained_against)
    size = f"{255 * attack.epsilon:.3g}/255" if run.recipe.data.bounded else number(attack.epsilon)
    under = f"under PGD-{attack.steps}, {attack.ball.norm} {size}"
    return replace(metric, title=metric.title.replace("under attack", under))
