"""Advice against a collapse, as far as it fits the recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sparring.lipschitz import Unconstrained
from sparring.objectives import Wasserstein
from sparring.recipes import ClassifierRecipe, Recipe, TrainingRecipe


def _always(_recipe: TrainingRecipe) -> bool:
    return True


def _is_unconstrained(recipe: TrainingRecipe) -> bool:
    return isinstance(recipe, Recipe) and isinstance(recipe.lipschitz, Unconstrained)


def _is_constrained(recipe: TrainingRecipe) -> bool:
    return not _is_unconstrained(recipe)


def _lacks_batch_norm(recipe: TrainingRecipe) -> bool:
    return isinstance(recipe, Recipe) and recipe.generator.model_dump().get("batch_norm") is False


def _is_unconditional(recipe: TrainingRecipe) -> bool:
    return isinstance(recipe, Recipe) and not recipe.generator.conditional


def _saturates(recipe: TrainingRecipe) -> bool:
    return isinstance(recipe, Recipe) and not isinstance(recipe.objective, Wasserstein)


def _is_attacked(recipe: TrainingRecipe) -> bool:
    return isinstance(recipe, ClassifierRecipe) and recipe.trained_against is not None


@dataclass(frozen=True)
class Advice:
    """One thing to try.

    Args:
        text: completes "train again with ...".
        fits: whether a recipe does not do it already.
    """

    text: str
    fits: Callable[[TrainingRecipe], bool] = _always


LOWER_RATE_OF_G = Advice("a lower learning rate of G")
LOWER_RATE_OF_D = Advice("a lower learning rate of D")
LOWER_RATES = Advice("lower learning rates")
LOWER_RATE = Advice("a lower learning rate")
BATCH_NORM = Advice("batch normalisation in G", _lacks_batch_norm)
OTHER_OBJECTIVE = Advice("another objective")
UNSATURATED = Advice("an objective that does not saturate", _saturates)
CONTROL = Advice("a Lipschitz control of D", _is_unconstrained)
OTHER_CONTROL = Advice("another Lipschitz control of D", _is_constrained)
LOOSER_CONTROL = Advice("a looser Lipschitz control of D", _is_constrained)
CONDITIONAL = Advice("a conditional G", _is_unconditional)
OTHER_STEPS = Advice("smaller or more attack steps")
WEAKER_ATTACK = Advice("a weaker attack or a longer warmup", _is_attacked)


def remedy(advice: Sequence[Advice], recipe: TrainingRecipe) -> str:
    """What to try, in one line: every advice that fits the recipe."""
    *others, last = [each.text for each in advice if each.fits(recipe)]
    return f"train again with {', '.join(others)}{' or ' if others else ''}{last}"
