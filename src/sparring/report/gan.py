"""Charts of a game over rounds: outputs, payoffs, gradients, and everything that is watched of D."""

from __future__ import annotations

import torch

from sparring.recipes import Recipe
from sparring.report.charts import BLUE, GREEN, GREY, PURPLE, VERMILLION, Chart, Mark, lines_of
from sparring.report.format import output
from sparring.report.read import Run
from sparring.report.watching import discriminator_charts, undecided


def game_charts(run: Run, key: str) -> list[Chart]:
    """What both players earned and thought, what D thinks first; then what a run has to show of its D.

    Args:
        run: a game.
        key: a prefix that is unique on the page.
    """
    recipe = run.game
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
    classes = tuple(
        line
        for side, colour, label in (("real", BLUE, "real"), ("fake", VERMILLION, "generated"))
        for view, dash, told in (("", "-", ""), ("_adversarial", "--", ", attacked"))
        for line in lines_of(run, f"class_accuracy_{side}{view}", colour, f"{label}{told}", 100.0, dash)
    )
    penalties = tuple(line for line in lines_of(run, "penalty", GREY, "penalty") if line.values.any())
    level, marks = _undecided(recipe)
    found = [
        Chart(
            f"{key}-outputs", "What D thinks: its mean output",
            "Where the lines meet, at any height, D cannot tell them apart; real at 1, generated at 0 teach G little.",
            output(recipe), outputs, undecided(recipe), (0.0, 1.0),
        ),
        Chart(
            f"{key}-payoffs", "Payoffs",
            f"Both players ascend; {level}.", "mean payoff a sample", payoffs, marks,
        ),
        Chart(
            f"{key}-classes", "What D's class head gets right",
            "Samples whose class it finds likeliest, on training batches as D met them; a generated sample's class is "
            "the one that G was asked for.",
            "share of samples (%)", classes, limits=(0.0, 100.0),
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
    return [*(chart for chart in found if chart.lines), *discriminator_charts(run, key)]


def _undecided(recipe: Recipe) -> tuple[str, tuple[Mark, ...]]:
    """What D earns a pair of samples with a score of 0, in words and as a mark; where it earns by classes too, none."""
    if recipe.class_loss.needs_logits:
        return "what they earn by classes is in it", ()
    score, objective = torch.zeros(()), recipe.objective
    earned = float(objective.real(score) + objective.fake(score))
    return "D at the dashed line earns no more than with a score of 0 for everything", (Mark(earned, "D undecided"),)
