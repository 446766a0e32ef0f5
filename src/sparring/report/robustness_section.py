"""Robustness on a page: every target with charts, attacks and example images; and several runs side by side.

Source: Rob-GAN, figures 2 (left) and 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sparring.report.charts import CYCLE, DASHES, DISTINCT, GREY, INK, Chart, Curve
from sparring.report.format import counted
from sparring.report.strips import StripGroup, example_strips, load_examples
from sparring.runs.robustness_schema import (
    AccuracyAt,
    AttackedAccuracy,
    Rate,
    Robustness,
    TargetRobustness,
    ThreatResult,
    WorstCase,
)

_CURVES = 5
"""Attacks with a curve of their own in a chart."""
_TASKS = {"source head": "real or generated", "both": "class and source together"}
_CLASSES = "classes"


@dataclass(frozen=True)
class AttackGroup:
    """The attacks of one norm and size, and their worst case."""

    attacks: tuple[ThreatResult, ...]
    worst: WorstCase


@dataclass(frozen=True)
class TargetSection:
    """One target on a page; `lacks_examples` if its images cannot be read."""

    target: TargetRobustness
    charts: tuple[Chart, ...]
    groups: tuple[AttackGroup, ...]
    examples: tuple[StripGroup, ...]
    lacks_examples: bool = False

    @property
    def main_examples(self) -> tuple[StripGroup, ...]:
        """The examples at the size that the verdict is about, or else the first."""
        sizes = [example.epsilon for example in self.target.examples]
        place = sizes.index(self.target.main_epsilon) if self.target.main_epsilon in sizes else 0
        return self.examples[place : place + 1]

    @property
    def verdict(self) -> str:
        """What is left of its accuracy under attack, or that no accuracy is to be quoted."""
        if self.target.verdict:
            return self.target.verdict
        if self.target.headline:  # of earlier versions
            return self.target.headline.text
        return (
            f"{self.target.name}: do not quote an accuracy, {counted(len(self.target.flags), 'sanity check')} failed."
        )


@dataclass(frozen=True)
class ComparedTarget:
    """One target of one run; `index` is that of the run, from 1."""

    index: int
    target: TargetRobustness
    worst: tuple[WorstCase | None, ...] = ()


@dataclass(frozen=True)
class RobustnessComparison:
    """All targets with one task, whose accuracies compare: charts, norms and sizes of the columns, and targets."""

    task: str
    charts: tuple[Chart, ...]
    norms: tuple[tuple[str, tuple[str, ...]], ...]
    targets: tuple[ComparedTarget, ...]


def target_sections(robustness: Robustness, folder: Path, key: str) -> tuple[TargetSection, ...]:
    """Every target of an evaluation.

    Args:
        robustness: the evaluation.
        folder: that it is in.
        key: a prefix that is unique on the page.
    """
    sections = []
    for index, target in enumerate(robustness.targets):
        arrays = load_examples(folder, index) if target.examples else None
        drawn = [norm for norm in _norms(target) if len(_sizes(target, norm)) > 1 or len(_norms(target)) == 1]
        sections.append(
            TargetSection(
                target=target,
                charts=tuple(_chart(target, norm, f"{key}-{index}-{place}") for place, norm in enumerate(drawn)),
                groups=_groups(target),
                examples=example_strips(target, arrays) if arrays else (),
                lacks_examples=bool(target.examples) and arrays is None,
            )
        )
    return tuple(sections)


def compare_robustness(evaluations: Sequence[Robustness | None]) -> tuple[RobustnessComparison, ...]:
    """The robustness of runs by the task of their targets; runs are numbered from 1 in the given order."""
    targets = [
        ComparedTarget(index, target)
        for index, evaluation in enumerate(evaluations, start=1)
        for target in (evaluation.targets if evaluation else ())
    ]
    tasks: dict[str, list[ComparedTarget]] = {}
    for each in targets:
        tasks.setdefault(_TASKS.get(each.target.name, _CLASSES), []).append(each)
    return tuple(_comparison(f"all-robust-{place}", *pair) for place, pair in enumerate(tasks.items()))


def rate_interval(bounds: tuple[float, float], digits: int = 1) -> str:
    """An interval of accuracies in percent, without the unit: `[38.2, 44.3]`."""
    return f"[{100 * bounds[0]:.{digits}f}, {100 * bounds[1]:.{digits}f}]"


def _accuracy_curve(
    label: str, clean: Rate | None, points: Sequence[AccuracyAt], colour: str, dash: str = "-"
) -> Curve:
    """Accuracy over epsilon in percent with its intervals as a band; clean accuracy is at 0."""
    start = [AccuracyAt(epsilon=0.0, accuracy=clean)] if clean else []
    ordered = sorted([*start, *points], key=lambda point: point.epsilon)
    values = np.array([point.accuracy.value for point in ordered])
    bands = np.array([point.accuracy.interval for point in ordered])
    sizes = np.array([point.epsilon for point in ordered])
    return Curve(label, sizes, 100 * values[:, None], colour, dash, band=100 * bands, width=1.4)


def _accuracy_chart(
    key: str, title: str, caption: str, curves: Sequence[Curve], points: Sequence[AttackedAccuracy]
) -> Chart:
    """Accuracy over epsilon, in /255 for images; `points` are what the curves show."""
    largest = max(points, key=lambda point: point.epsilon)
    in_levels = all("/255" in point.scales for point in points)
    drawn = tuple(replace(curve, steps=255 * curve.steps) for curve in curves) if in_levels else tuple(curves)
    return Chart(
        key, title, f"{caption} The largest epsilon is {largest.scales}.", "accuracy (%)", drawn,
        limits=(0.0, 100.0), across="epsilon (/255)" if in_levels else "epsilon", is_whole=False,
    )  # fmt: skip


def _norms(target: TargetRobustness) -> list[str]:
    return list(dict.fromkeys(case.norm for case in target.worst))


def _sizes(target: TargetRobustness, norm: str) -> set[float]:
    return {case.epsilon for case in target.worst if case.norm == norm}


def _groups(target: TargetRobustness) -> tuple[AttackGroup, ...]:
    """The attacks by norm, in the order of the file, and then by size."""
    norms = _norms(target)
    groups = []
    for case in sorted(target.worst, key=lambda case: (norms.index(case.norm), case.epsilon)):
        attacks = [each for each in target.attacks if (each.norm, each.epsilon) == (case.norm, case.epsilon)]
        groups.append(AttackGroup(tuple(attacks), case))
    return tuple(groups)


def _chart(target: TargetRobustness, norm: str, key: str) -> Chart:
    """Accuracy over the sizes of one norm; beside the main attack that on training samples."""
    worst = [case for case in target.worst if case.norm == norm]
    attacks = [each for each in target.attacks if each.norm == norm]
    training = target.train_attacked if set(target.epsilons) <= _sizes(target, norm) else ()
    names = _widest(attacks)
    bold = replace(_accuracy_curve("worst case", target.clean, worst, INK), width=3.0)
    curves = [
        _accuracy_curve(name, target.clean, [each for each in attacks if each.name == name], colour)
        for name, colour in zip(names, CYCLE, strict=False)
    ]
    caption = "Bands: 95 % intervals; epsilon 0 is clean. Bold: the worst case per sample over all attacks."
    if training:
        curves.append(_accuracy_curve("training samples", target.train_clean, training, GREY, "--"))
        caption += " Dashed: the main attack on training samples; the distance is the generalization gap."
    if len({each.name for each in attacks}) > len(names):
        caption += " The table has further attacks."
    title = f"Accuracy under attack, {norm}{' (flagged)' if target.flags else ''}"
    return _accuracy_chart(key, title, caption, [bold, *curves], worst)


def _widest(attacks: Sequence[ThreatResult]) -> list[str]:
    """The attacks that were tried at most sizes."""
    names = [each.name for each in attacks]
    most = max(map(names.count, names))
    return [name for name in dict.fromkeys(names) if names.count(name) == most][:_CURVES]


def _comparison(key: str, task: str, targets: Sequence[ComparedTarget]) -> RobustnessComparison:
    cases = [case for each in targets for case in each.target.worst]
    norms = list(dict.fromkeys(case.norm for case in cases))
    sizes = {norm: sorted({case.epsilon: _size(case) for case in cases if case.norm == norm}.items()) for norm in norms}
    columns = [(norm, size) for norm in norms for _, size in sizes[norm]]
    rows = []
    for each in targets:
        worst = {(case.norm, _size(case)): case for case in each.target.worst}
        rows.append(replace(each, worst=tuple(worst.get(column) for column in columns)))
    charts = [_compared_chart(f"{key}-{place}", task, norm, targets) for place, norm in enumerate(norms)]
    return RobustnessComparison(
        task=task,
        charts=tuple(charts if len(targets) <= DISTINCT else ()),
        norms=tuple((norm, tuple(size for _, size in sizes[norm])) for norm in norms),
        targets=tuple(rows),
    )


def _size(case: WorstCase) -> str:
    return case.scales.split(" (")[0]


def _compared_chart(key: str, task: str, norm: str, targets: Sequence[ComparedTarget]) -> Chart:
    curves, points = [], []
    runs = [each.index for each in targets]
    for place, each in enumerate(targets):
        target = each.target
        worst = [case for case in target.worst if case.norm == norm]
        if worst:
            name = f", {target.name}" if runs.count(each.index) > 1 else ""
            label = f"run {each.index}{name}{' (flagged)' if target.flags else ''}"
            dash = DASHES[place // len(CYCLE) % len(DASHES)]
            curve = _accuracy_curve(label, target.clean, worst, CYCLE[place % len(CYCLE)], dash)
            curves.append(replace(curve, width=1.0 if target.flags else 2.0))
            points += worst
    flagged = " A thin line is flagged: do not trust it." if any(each.target.flags for each in targets) else ""
    caption = f"Worst case per sample over all attacks of the run; bands: 95 % intervals; epsilon 0 is clean.{flagged}"
    title = f"Accuracy under attack, {norm}" + ("" if task == _CLASSES else f": {task}")
    return _accuracy_chart(key, title, caption, curves, points)
