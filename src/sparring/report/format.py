"""Numbers and games in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch

from sparring.core.errors import SparringError
from sparring.core.pieces import Piece
from sparring.data import Mixture
from sparring.feedback import Feedback
from sparring.objectives import Wasserstein
from sparring.recipes import ClassifierRecipe, Recipe
from sparring.report.read import Outcome, Run

NONE = "–"
"""What stands where there is no number."""


def number(value: float | int | None) -> str:
    """A number with thousands separators, or with three significant digits."""
    if value is None or value != value:
        return NONE
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "−∞"
    text = f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "−")


def percent(share: float) -> str:
    """A share as a whole percentage."""
    return f"{100 * share:.0f} %"


def share(value: float) -> str:
    """A share in percent, to a tenth."""
    return f"{100 * value:.1f} %"


def inside(title: str) -> str:
    """A title as it stands inside a sentence."""
    return f"{title[:1].lower()}{title[1:]}"


def short(text: str, letters: int) -> str:
    """The text, or as much of both ends of it as there is room for."""
    if len(text) <= letters:
        return text
    tail = (letters - 1) // 2
    return f"{text[: letters - 1 - tail]}…{text[-tail:]}"


def interval(bounds: tuple[float, float]) -> str:
    """An interval of shares in percent."""
    return f"[{percent(bounds[0])}, {percent(bounds[1])}]"


def duration(seconds: float | int | None) -> str:
    """Seconds as hours, minutes and seconds."""
    if seconds is None:
        return NONE
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.3g} s"


def games(count: int) -> str:
    """How many games, in words."""
    return "1 game" if count == 1 else f"{count:,} games"


def plain(value: Any) -> str:
    """A value of a recipe as a reader expects it: bare words, numbers to six digits."""
    if value is None:
        return NONE
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings, and lists of mappings, as one mapping with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            value = {str(index): item for index, item in enumerate(value)}
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def piece(part: Piece) -> str:
    """A piece with its own settings: `ring (modes 8, radius 2.0, std 0.1)`."""
    settings = {key: value for key, value in part.model_dump(mode="json").items() if key != "name"}
    flat = {key.removesuffix(".name"): value for key, value in flatten(settings).items()}
    inner = ", ".join(f"{key} {_short(value)}" for key, value in flat.items() if value not in ([], "", None))
    return f"{part.name} ({inner})" if inner else part.name


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else plain(value)


def game(recipe: Recipe) -> str:
    """What is played, in one sentence."""
    classes = f", classes by {recipe.class_loss.name}" if recipe.class_loss.needs_logits else ""
    return (
        f"D and G play {piece(recipe.objective)}{classes} on {piece(recipe.data)}; {feedback(recipe.feedback)}; "
        f"regime {piece(recipe.regime)}, Lipschitz control {piece(recipe.lipschitz)}; "
        f"{games(recipe.replicas)}, {seeds(recipe)}, {number(recipe.steps)} rounds of batches of "
        f"{number(recipe.batch_size)}."
    )


def seeds(recipe: Recipe) -> str:
    """The seeds of the games."""
    found = recipe.seeds
    if len(found) == 1:
        return f"seed {found[0]}"
    return f"seeds {found[0]} to {found[-1]}"


def schooling(recipe: ClassifierRecipe) -> str:
    """What a classifier learns from, in one sentence."""
    under = (
        f"under {piece(recipe.attack)} up {piece(recipe.criterion)}" if recipe.attack.epsilon else "without an attack"
    )
    fakes, start = recipe.fakes, recipe.start
    also = f" and, with weight {number(fakes.weight)}, generated samples of {fakes.run}" if fakes else ""
    begun = f"it starts as {start.run}; " if start else ""
    return (
        f"Classifier {piece(recipe.classifier)} learns {piece(recipe.data)}{also} {under}; {begun}"
        f"seed {recipe.seed}, {number(recipe.steps)} rounds of batches of {number(recipe.batch_size)}."
    )


def feedback(channel: Feedback) -> str:
    """What reaches G of D's output, with every probability."""
    lies = [f"{piece(psi)} with {number(share)}" for share, psi in channel.distribution() if psi.name != "honest"]
    honest = number(channel.honest_probability)
    if not lies:
        return "G is told the truth"
    return f"G is told the truth with probability {honest}, and otherwise {', '.join(lies)}"


def is_critic(recipe: Recipe) -> bool:
    """Whether D's score is a distance and no logit: adding a constant to it changes nothing."""
    return isinstance(recipe.objective, Wasserstein)


def output(recipe: Recipe) -> str:
    """What the sigmoid of D's score is."""
    return "sigmoid of the critic's score" if is_critic(recipe) else "D(x), probability of real"


def goal(run: Run) -> str:
    """What a successful game of this run has done."""
    count = target(run)
    if "modes" in run.logged:
        return f"learned all {count} modes" if count else "learned all modes"
    if "classes" in run.logged:
        return f"learned all {count} classes evenly" if count else "learned all classes evenly"
    return "succeeded"


def target(run: Run) -> int | None:
    """How many modes or classes there are to learn, or None if the data do not say."""
    data = run.recipe.data
    if isinstance(data, Mixture):
        return len(data.centres())
    if "classes" not in run.logged:
        return None
    try:
        return len(data.open(torch.device("cpu")).facts.classes) or None
    except (SparringError, OSError):
        return None


def verdict(run: Run) -> str:
    """How the run ended, or where it stands, in one sentence."""
    outcome, success = run.outcome, run.series("success")
    if outcome is None or success is None:
        return "Nothing is measured yet." if run.rows else "Nothing is logged yet."
    so_far = "" if run.status.kind == "complete" else "So far, "
    return (
        f"{so_far}{outcome.wins:,} of {games(outcome.games)} {goal(run)} {span(outcome)} "
        f"at round {number(float(success.steps[-1]))}."
    )


def span(outcome: Outcome) -> str:
    """The interval of an outcome, named."""
    return f"[Wilson 95 % interval {percent(outcome.interval[0])}, {percent(outcome.interval[1])}]"
