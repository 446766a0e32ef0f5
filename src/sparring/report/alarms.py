"""Alarms of a run on its page: what collapsed, when and in which games, and the collapse metrics behind them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sparring.monitoring.alarms import CONSTANT, FEW, FLAT, NARROW, RULES, SURE, alarms
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
        Notice(rule.kind, "; ".join(_when(run, alarm) for alarm in same), rule.cause, rule.remedy)
        for rule in RULES
        if (same := [alarm for alarm in found if alarm.kind == rule.kind])
    )


def _when(run: Run, alarm: Alarm) -> str:
    game = f"{run.titles[alarm.game]}, " if len(run.titles) > 1 else ""
    end = "to the end" if alarm.until is None else f"to {number(alarm.until)}"
    return f"{game}round {number(alarm.step)} {end}"


def collapse_charts(run: Run, key: str) -> list[Chart]:
    """The collapse metrics over rounds, each with the threshold of its alarm.

    Args:
        run: what to draw.
        key: a prefix that is unique on the page.
    """
    found = [
        Chart(
            f"{key}-collapse-spread", "Collapse: spread of G's samples",
            "Of generated samples over that of real ones. A G that once spread and falls below the dashed lines has "
            "collapsed.",
            "spread (log scale)", _from(CONSTANT / 10, lines_of(run, "collapse_spread", VERMILLION, "generated")),
            (Mark(NARROW, "one mode"), Mark(CONSTANT, "constant")), is_log=True,
        ),
        Chart(
            f"{key}-collapse-classes", "Collapse: classes",
            "Effective number, exp(entropy): of the classes that generated samples are of, and of those that are "
            "predicted for real samples. At 1 there is one class for everything.",
            "classes",
            lines_of(run, "collapse_classes", VERMILLION, "generated")
            + lines_of(run, "collapse_predicted", BLUE, "predicted"),
            _class_marks(run), (1.0, None),
        ),
        Chart(
            f"{key}-collapse-slopes", "Collapse: gradient that D leaves to G",
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
    marks = {"collapse_classes": Mark(FEW, "one class"), "collapse_predicted": Mark(SURE, "one predicted class")}
    return tuple(mark for name, mark in marks.items() if name in run.logged)


def _of_discriminator(run: Run) -> tuple[Line, ...]:
    return (
        lines_of(run, "collapse_slope_generator", PURPLE, "G's payoff")
        + lines_of(run, "collapse_slope_discriminator", GREEN, "D's payoffs")
        + lines_of(run, "collapse_steepness", INK, "D's score", dash="--")
        + lines_of(run, "collapse_score_spread", BLUE, "scores differ by", dash=":")
    )
