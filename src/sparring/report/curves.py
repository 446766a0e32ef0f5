"""Which charts a run has, and which several runs share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from sparring.report.charts import (
    BLUE,
    CYCLE,
    DASHES,
    GREEN,
    GREY,
    PURPLE,
    VERMILLION,
    Chart,
    Line,
    Mark,
    lines_of,
)
from sparring.report.measures import MEASURES, Measure, measured, primary, threshold
from sparring.report.reading import Run
from sparring.report.watching import discriminator_charts, undecided
from sparring.report.words import output

HIDDEN = frozenset({"success"} | {name for measure in MEASURES.values() for name in (measure.floor, measure.spread)})
"""Measures without a chart of their own."""
COMPARED = 8
"""Up to this many runs show what D thinks side by side."""
TOLD_APART = 14
"""Up to this many runs share a chart."""


def charts(run: Run, key: str) -> list[Chart]:
    """Every chart of a run, the measures first.

    Args:
        run: what to draw.
        key: a prefix that is unique on the page.
    """
    measures = [_measure_chart(run, each, key) for each in measured(run) if each.name not in HIDDEN]
    return [*measures, *_game_charts(run, key), *discriminator_charts(run, key)]


def few_charts(run: Run, key: str) -> list[Chart]:
    """The two charts that tell most: the first measure, and what D thinks."""
    measures = [_measure_chart(run, each, key) for each in measured(run)[:1] if each.name not in HIDDEN]
    return [*measures, *_game_charts(run, key)[:1]]


def shared_charts(runs: Sequence[Run]) -> list[Chart]:
    """The mean of the measure that tells most, one line a run and one chart a kind of data; then D in each run."""
    kinds = dict.fromkeys(measure for run in runs if (measure := primary(run)))
    together = [_together(runs, measure) for measure in kinds] if len(runs) <= TOLD_APART else []
    outputs = [
        replace(chart, title=f"D in run {index}: {run.name}")
        for index, run in enumerate(runs, start=1)
        for chart in _game_charts(run, f"all-{index}")[:1]
    ]
    return [*together, *(outputs if len(runs) <= COMPARED else [])]


def _together(runs: Sequence[Run], measure: Measure) -> Chart:
    lines = tuple(
        replace(line, dash=DASHES[index // len(CYCLE) % len(DASHES)], alone=True)
        for index, run in enumerate(runs)
        for line in lines_of(run, measure.name, CYCLE[index % len(CYCLE)], f"run {index + 1}", measure.scale)
    )
    title = f"{measure.title}, mean over the games of each run"
    needs = {threshold(measure, run) for run in runs if primary(run) == measure}
    marks = tuple(Mark(need, "needed for a success") for need in needs if need is not None and len(needs) == 1)
    return Chart(f"all-{_slug(measure.name)}", title, measure.look, measure.unit, lines, marks, (measure.lowest, None))


def _measure_chart(run: Run, measure: Measure, key: str) -> Chart:
    scale = measure.scale
    lines = lines_of(run, measure.name, VERMILLION, "mean" if run.recipe.replicas > 1 else "game", scale)
    floor = tuple(
        Line(measure.level, line.steps, line.values, BLUE, "--", alone=True)
        for line in lines_of(run, measure.floor, BLUE, "", scale)
    )
    needed = threshold(measure, run)
    marks = () if needed is None else (Mark(needed * scale, "needed for a success"),)
    limits = (measure.lowest, 100.0 if measure.is_share else None)
    return Chart(
        f"{key}-{_slug(measure.name)}", measure.title, measure.look, measure.unit, lines + floor, marks, limits
    )


def _game_charts(run: Run, key: str) -> list[Chart]:
    outputs = (
        lines_of(run, "d_real", BLUE, "on real")
        + lines_of(run, "d_real_adversarial", BLUE, "on real, attacked", dash="--")
        + lines_of(run, "d_fake", VERMILLION, "on generated")
        + lines_of(run, "d_fake_adversarial", VERMILLION, "on generated, attacked", dash="--")
    )
    payoffs = (
        lines_of(run, "payoff_d", GREEN, "D")
        + lines_of(run, "payoff_d_adversarial", GREEN, "D, under attack", dash="--")
        + lines_of(run, "payoff_g", PURPLE, "G")
    )
    gradients = lines_of(run, "gradient_discriminator", GREEN, "D") + lines_of(run, "gradient_generator", PURPLE, "G")
    penalties = tuple(line for line in lines_of(run, "penalty", GREY, "penalty") if line.values.any())
    found = [
        Chart(
            f"{key}-outputs", "What D thinks: its mean output",
            "Where the lines meet, at any height, D cannot tell them apart; real at 1, generated at 0 teach G little.",
            output(run.recipe), outputs, undecided(run), (0.0, 1.0),
        ),
        Chart(
            f"{key}-payoffs", "Payoffs",
            "Both players ascend; D at the dashed line earns no more than with a score of 0 for everything.",
            "mean payoff a sample", payoffs, (Mark(_undecided(run), "D undecided"),),
        ),
        Chart(
            f"{key}-gradients", "Gradient norms",
            "G learns nothing where its line falls by orders of magnitude.",
            "Euclidean norm (log scale)", gradients, is_log=True,
        ),
        Chart(
            f"{key}-saturated", "Saturated scores",
            "Scores beyond ±10 hardly pass a gradient through a bounded payoff.",
            "share of scores (%)", lines_of(run, "saturated", GREY, "mean", 100.0), limits=(0.0, None),
        ),
        Chart(
            f"{key}-penalty", "Lipschitz penalty", "What D pays for the slope of its score.",
            "mean penalty a sample", penalties,
        ),
    ]  # fmt: skip
    return [chart for chart in found if chart.lines]


def _undecided(run: Run) -> float:
    """What D earns a pair of samples with a score of 0."""
    score = torch.zeros(())
    return float(run.recipe.objective.real(score) + run.recipe.objective.fake(score))


def _slug(name: str) -> str:
    """A name that is safe in an id."""
    return "".join(letter if letter.isascii() and letter.isalnum() else f"-{ord(letter):x}-" for letter in name)
