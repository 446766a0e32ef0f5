"""The kinds of runs: what a page says and draws of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sparring.recipes import ClassifierRecipe, Recipe, TrainingRecipe
from sparring.report.charts import Chart
from sparring.report.classifiers import classifier_charts
from sparring.report.format import game, schooling
from sparring.report.gan import game_charts
from sparring.report.read import Run


@dataclass(frozen=True)
class Kind:
    """How runs of one kind of recipe are shown.

    Args:
        makes_samples: whether there is a generator to look at.
        one: the label of a line that is not a mean.
        course: the heading of the charts.
        heart: what the first of them is about.
        sentence: what is trained.
        charts: its own charts, beside those of its measures.
    """

    makes_samples: bool
    one: str
    course: str
    heart: str
    sentence: Callable[[Run], str]
    charts: Callable[[Run, str], list[Chart]]


_KINDS: dict[type[TrainingRecipe], Kind] = {
    Recipe: Kind(
        makes_samples=True, one="game", course="How the game went", heart="D",
        sentence=lambda run: game(run.game), charts=game_charts,
    ),
    ClassifierRecipe: Kind(
        makes_samples=False, one="held-out samples", course="How training went", heart="Loss",
        sentence=lambda run: schooling(run.training), charts=classifier_charts,
    ),
}  # fmt: skip


def kind_of(run: Run) -> Kind:
    """The kind of a run."""
    return _KINDS[type(run.recipe)]
