"""Recipes: the frozen record of a GAN or of a classifier's training, and the YAML files that it comes from."""

from sparring.recipes.base import TRAINS_NOTHING, TrainingRecipe
from sparring.recipes.classifier import CheckpointSelection, ClassifierRecipe, Fakes, StartingPoint
from sparring.recipes.gan import Optimizers, Recipe
from sparring.recipes.load import (
    AnyRecipe,
    changed,
    load,
    load_with,
    parse_piece,
    recipe_names,
    require_classifier,
    require_game,
    set_key,
    unvalidated,
    validated,
    with_keys,
)
from sparring.recipes.yaml import dump_yaml, parse_yaml, to_yaml

__all__ = [
    "TRAINS_NOTHING",
    "AnyRecipe",
    "CheckpointSelection",
    "ClassifierRecipe",
    "Fakes",
    "Optimizers",
    "Recipe",
    "StartingPoint",
    "TrainingRecipe",
    "changed",
    "dump_yaml",
    "load",
    "load_with",
    "parse_piece",
    "parse_yaml",
    "recipe_names",
    "require_classifier",
    "require_game",
    "set_key",
    "to_yaml",
    "unvalidated",
    "validated",
    "with_keys",
]
