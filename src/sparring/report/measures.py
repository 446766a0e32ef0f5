"""The logged numbers that runs are compared by: metrics, and numbers of the training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sparring.core.errors import UsageError
from sparring.core.records import nearest
from sparring.objectives import Wasserstein
from sparring.recipes import Recipe
from sparring.report.chart_specs import CHARTS
from sparring.report.metric_info import METRICS, MetricInfo, hidden, info_in, metric_info, metrics_of
from sparring.report.read import RunRecord
from sparring.report.run_charts import limits_of, texts

_DRAWN = {
    curve.metric: (spec, curve)
    for group in CHARTS.values()
    for spec in group
    for curve in spec.curves
    if not curve.minus  # a difference is drawn there, not the number itself
}
"""A chart of every logged number, and its curve there."""


@dataclass(frozen=True)
class LoggedMeasure:
    """A logged number over rounds.

    Args:
        info: how it is shown.
        limits: of the value axis.
        is_log: a logarithmic value axis.
    """

    info: MetricInfo
    limits: tuple[float | None, float | None]
    is_log: bool = False

    def is_of(self, run: RunRecord) -> bool:
        """Whether a run logged it, in this unit and under this attack."""
        return self.info.name in run.logged and _axis(measure_of(run, self.info.name)) == _axis(self)


def find_measures(runs: Sequence[RunRecord], words: Sequence[str] = ()) -> list[LoggedMeasure]:
    """Measures by name, the main ones by default; one for each attack that they were measured under.

    Raises:
        UsageError: no run logged such a number.
    """
    names = [find_name(runs, word) for word in words] or main_names(runs)
    found = [measure_of(run, name) for name in dict.fromkeys(names) for run in runs if name in run.logged]
    return list({_axis(measure): measure for measure in reversed(found)}.values())[::-1]


def find_name(runs: Sequence[RunRecord], word: str) -> str:
    """The logged number of this name, or the only one that is drawn and begins with it.

    Raises:
        UsageError: there is none; names the nearest.
    """
    known = list(dict.fromkeys(name for run in runs for name in run.logged))
    if word in known:
        return word
    candidates = [name for name in known if name.startswith(word) and name not in hidden(known)]
    if len(candidates) == 1:
        return candidates[0]
    near = nearest(word, known)
    remedy = f"did you mean {near}?" if near else f"one of {', '.join(candidates or known)}" if known else ""
    raise UsageError(f"measure {word}: not in the log of any of these runs", remedy)


def main_names(runs: Sequence[RunRecord]) -> list[str]:
    """What the papers plot: every metric, the L1 norm of D's input gradient, a critic's estimate of its distance."""
    names = [info.name for run in runs for info in metrics_of(run) if info.name not in hidden(run.logged)]
    games = [run.recipe for run in runs if isinstance(run.recipe, Recipe)]
    if any(recipe.data.bounded for recipe in games):
        names.append("input_gradient_l1")
    if any(isinstance(recipe.objective, Wasserstein) for recipe in games):
        names.append("critic_distance")
    return names


def measure_of(run: RunRecord, name: str) -> LoggedMeasure:
    """A number as it is shown for this run."""
    info = info_in(run, metric_info(name))
    if name not in _DRAWN:
        return LoggedMeasure(info if name in METRICS else replace(info, caption=""), limits_of(info))
    spec, curve = _DRAWN[name]
    caption = spec.caption.format_map(texts(run)).strip()
    if name in METRICS:
        return LoggedMeasure(replace(info, caption=info.caption or caption), limits_of(info))
    unit = spec.unit.format_map(texts(run))
    shown = MetricInfo(name, f"{spec.title}: {curve.label}", unit, caption=caption, is_share=curve.scale == 100)
    return LoggedMeasure(shown, spec.limits, spec.is_log)


def _axis(measure: LoggedMeasure) -> tuple[str, str, str]:
    """What numbers must agree in to share a chart."""
    return measure.info.name, measure.info.title, measure.info.unit
