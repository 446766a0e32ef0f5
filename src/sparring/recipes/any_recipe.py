"""A recipe of either kind, of a GAN or of a classifier, validated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparring.core.errors import UsageError
from sparring.recipes.base import TrainingRecipe
from sparring.recipes.classifier import ClassifierRecipe
from sparring.recipes.gan import Recipe

AnyRecipe = Recipe | ClassifierRecipe


def record_for(values: Any) -> type[Recipe] | type[ClassifierRecipe]:
    """The record that plain values are for: the one that knows most of their keys."""
    keys = values.keys() if isinstance(values, Mapping) else ()
    known, of_classifier = (len(record.model_fields.keys() & keys) for record in (Recipe, ClassifierRecipe))
    return ClassifierRecipe if of_classifier > known else Recipe


def validated(values: Any, what: str) -> AnyRecipe:
    """A recipe from plain values, as YAML gives them.

    Args:
        values: of the recipe.
        what: name of the recipe in errors.

    Raises:
        InvalidRecord: with every mistake.
    """
    return record_for(values).validated(values, what, "`sparring show RECIPE` prints every key")


def require_game(recipe: TrainingRecipe, what: str) -> Recipe:
    """The recipe, if it is a GAN's.

    Raises:
        UsageError: it is a classifier's.
    """
    if isinstance(recipe, Recipe):
        return recipe
    raise UsageError(f"{what}: trains a classifier, so there is no generator", "name a game, or a run of one")


def require_classifier(recipe: TrainingRecipe, what: str) -> ClassifierRecipe:
    """The recipe, if it is a classifier's.

    Raises:
        UsageError: it is a GAN's.
    """
    if isinstance(recipe, ClassifierRecipe):
        return recipe
    raise UsageError(f"{what}: is a game, not a classifier", "`sparring finetune` makes a classifier of its D")
