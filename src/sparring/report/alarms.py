"""Alarms of a run on its page: what collapsed, when and in which games, and the vitals that tell it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparring.monitoring.alarms import alarms
from sparring.monitoring.symptoms import CONSTANT, FEW, FLAT, NARROW, SURE, SYMPTOMS
from sparring.report.charts import BLUE, GREEN, INK, PURPLE, VERMILLION, Chart, Line, Mark, lines_of
from sparring.report.format import number
from sparring.report.read import Run
from sparring.runs.schema import Alarm


@dataclass(frozen=True)
class Notice:
    """All alarms of one kind.

    Args:
        kind: of the collapse.
        when: the rounds, game by game.
        cause, remedy: a line each.
    """

    kind: str
    when: str
    cause: str
    remedy: str


def notices(run: Run) -> tuple[Notice, ...]:
    """What collapsed in a run, one notice a kind; nothing of runs that were not checked."""
    found = alarms(run.rows, run.recipe)
    return tuple(
        Notice(symptom.kind, "; ".join(_when(run, alarm) for alarm in same), symptom.cause, symptom.remedy)
        for symptom in SYMPTOMS
        if (same := [alarm for alarm in found if alarm.kind == symptom.kind])
    )


def _when(run: Run, alarm: Alarm) -> str:
    game = f"{run.titles[alarm.game]}, " if len(run.titles) > 1 else ""
    end = "to the end" if alarm.until is None else f"to {number(alarm.until)}"
    return f"{game}round {number(alarm.step)} {end}"


def vital_charts(run: Run, key: str) -> list[Chart]:
    """The vitals over rounds, each with the line below which it is a symptom.

    Args:
        run: what to draw.
        key: a prefix that is unique on the page.
    """
    found = [
        Chart(
            f"{key}-vital-spread", "Vital: how G's samples spread",
            "Of generated samples over that of real ones. A G that once spread and falls below the dashed lines has "
            "collapsed.",
            "spread (log scale)", _from(CONSTANT / 10, lines_of(run, "vital_spread", VERMILLION, "generated")),
            (Mark(NARROW, "one mode"), Mark(CONSTANT, "constant")), is_log=True,
        ),
        Chart(
            f"{key}-vital-classes", "Vital: classes",
            "Effective number, exp(entropy): of the classes that generated samples are of, and of those that are "
            "predicted for real samples. At 1 there is one class for everything.",
            "classes",
            lines_of(run, "vital_classes", VERMILLION, "generated")
            + lines_of(run, "vital_predicted", BLUE, "predicted"),
            _class_marks(run), (1.0, None),
        ),
        Chart(
            f"{key}-vital-slopes", "Vital: what is left to learn from D",
            "Slopes of the payoffs at the scores that D gives, over those of a D that is undecided; of D's score along "
            "the data, and how far its scores differ. Where one falls below the dashed line, D teaches nothing.",
            "relative size (log scale)",
            _from(FLAT / 10, _of_discriminator(run)), (Mark(FLAT, "saturated"),), is_log=True,
        ),
    ]  # fmt: skip
    return [chart for chart in found if chart.lines]


def _from(lowest: float, lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Lines that a logarithmic axis can show to the end: what is smaller lies at the bottom."""
    return tuple(replace(line, values=np.maximum(line.values, lowest)) for line in lines)


def _class_marks(run: Run) -> tuple[Mark, ...]:
    marks = {"vital_classes": Mark(FEW, "one class"), "vital_predicted": Mark(SURE, "one predicted class")}
    return tuple(mark for name, mark in marks.items() if name in run.logged)


def _of_discriminator(run: Run) -> tuple[Line, ...]:
    return (
        lines_of(run, "vital_slope_generator", PURPLE, "G's payoff")
        + lines_of(run, "vital_slope_discriminator", GREEN, "D's payoffs")
        + lines_of(run, "vital_steepness", INK, "D's score", dash="--")
        + lines_of(run, "vital_score_spread", BLUE, "scores differ by", dash=":")
    )
