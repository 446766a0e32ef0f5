"""What the first screen of a page says: pictures, one sentence, two small charts. All else is below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sparring.report.charts import SMALL, Chart
from sparring.report.overlays import Overlays
from sparring.report.robustness_section import TargetSection
from sparring.report.strips import StripGroup
from sparring.report.sweep_map import MapSheet, SweepMap

_LEADING = (
    "modes", "frechet_distance", "robust_accuracy_test", "accuracy_test", "outputs", "sliced_wasserstein", "classes",
    "loss", "payoffs", "batches",
)  # fmt: skip
"""Charts of a run in the order of what they say at a glance."""
_CHARTS = 2


@dataclass(frozen=True)
class FirstScreen:
    """The first screen of a run or a model, and what is left for the page below.

    Args:
        verdict: what happened, in one sentence.
        remarks: further sentences.
        examples: adversarial examples, where there are no generated samples.
        charts: small ones.
        other_charts, targets: of the page below.
    """

    verdict: str
    remarks: tuple[str, ...]
    examples: tuple[StripGroup, ...]
    charts: tuple[Chart, ...]
    other_charts: tuple[Chart, ...]
    targets: tuple[TargetSection, ...]


@dataclass(frozen=True)
class OverviewScreen:
    """The first screen of several runs: how they ended together, and the first maps, or else small charts."""

    verdict: str
    sheets: tuple[MapSheet, ...]
    charts: tuple[Chart, ...]


def first_screen(
    sentences: Sequence[str], drawn: Sequence[Chart], targets: Sequence[TargetSection], *, makes_samples: bool
) -> FirstScreen:
    """The first screen: the first target under attack, if there is one, then what a training measured.

    Args:
        sentences: the verdict first.
        drawn: charts of a training.
        targets: of an evaluation under attack.
        makes_samples: whether generated samples are the pictures; otherwise examples of the first target are.
    """
    attacked = [chart for target in targets[:1] for chart in target.charts]
    trained = sorted(filter(_says_something, drawn), key=_rank)
    chosen = [*attacked[:1], *trained, *attacked[1:]][:_CHARTS]
    examples = () if makes_samples else tuple(group for target in targets[:1] for group in target.main_examples)
    return FirstScreen(
        verdict=sentences[0],
        remarks=tuple(sentences[1:]),
        examples=examples,
        charts=tuple(replace(chart, size=SMALL) for chart in chosen),
        other_charts=tuple(chart for chart in drawn if chart not in chosen),
        targets=tuple(
            replace(
                target,
                charts=tuple(chart for chart in target.charts if chart not in chosen),
                examples=tuple(group for group in target.examples if group not in examples),
            )
            for target in targets
        ),
    )


def overview(
    verdict: str, grid: SweepMap | None, successes: tuple[MapSheet, ...], shared: Overlays
) -> tuple[OverviewScreen, SweepMap | None, tuple[MapSheet, ...], Overlays]:
    """The first screen of several runs, and what is left of the maps and charts for the page below.

    Args:
        verdict: how the runs ended together.
        grid: the maps of a sweep, if they are one.
        successes: maps of successes otherwise.
        shared: the charts over rounds that they share.
    """
    sheets = tuple((grid.sheets if grid else successes)[:_CHARTS])
    lines = grid.charts if grid else ()
    chosen = [] if sheets else [*lines, *sorted(shared.charts, key=_rank)][:_CHARTS]
    screen = OverviewScreen(verdict, sheets, tuple(replace(chart, size=SMALL) for chart in chosen))
    if grid:
        left = tuple(chart for chart in lines if chart not in chosen)
        grid = replace(grid, sheets=grid.sheets[len(sheets) :], charts=left)
    shared = replace(shared, charts=tuple(chart for chart in shared.charts if chart not in chosen))
    return screen, grid, successes if grid else successes[len(sheets) :], shared


def _says_something(chart: Chart) -> bool:
    return chart.name in _LEADING and any(len(curve.steps) > 1 for curve in chart.curves)


def _rank(chart: Chart) -> int:
    return _LEADING.index(chart.name) if chart.name in _LEADING else len(_LEADING)
