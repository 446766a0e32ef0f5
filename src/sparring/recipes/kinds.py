"""The kinds of recipes, told apart by their keys: a game, or a classifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from sparring.core.errors import UsageError
from sparring.core.records import InvalidRecord, problems_in
from sparring.recipes.classifier import ClassifierRecipe
from sparring.recipes.common import TrainingRecipe
from sparring.recipes.recipe import Recipe

AnyRecipe = Recipe | ClassifierRecipe
_KINDS: tuple[type[Recipe] | type[ClassifierRecipe], ...] = (Recipe, ClassifierRecipe)


def kind_of(values: Any) -> type[Recipe] | type[ClassifierRecipe]:
    """The record that plain values are meant for: the one that knows most of their keys."""
    keys = values.keys() if isinstance(values, Mapping) else ()
    return max(_KINDS, key=lambda kind: len(kind.model_fields.keys() & keys))


def validated(values: Any, what: str) -> AnyRecipe:
    """A recipe from plain values, as they come from YAML.

    Raises:
        InvalidRecord: with every mistake at once.
    """
    kind = kind_of(values)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        problems = problems_in(error, kind.model_fields)
        raise InvalidRecord(what, problems, "`sparring show RECIPE` prints every key") from None


def require_game(recipe: TrainingRecipe, what: str) -> Recipe:
    """The recipe, if it is a game's.

    Raises:
        UsageError: it is a classifier's.
    """
    if isinstance(recipe, Recipe):
        return recipe
    raise UsageError(f"{what}: trains a classifier, so there is no generator", "name a game, or a run of one")


def require_classifier(recipe: TrainingRecipe, what: str) -> ClassifierRecipe:
    """The recipe, if it is a classifier's.

    Raises:
        UsageError: it is a game's.
    """
    if isinstance(recipe, ClassifierRecipe):
        return recipe
    raise UsageError(f"{what}: is a game, not a classifier", "`sparring finetune` makes a classifier of its D")
