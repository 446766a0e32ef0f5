"""Recipes: the frozen record of a game or of a classifier's training, and the YAML files that it comes from."""

from sparring.recipes.classifier import ClassifierRecipe, Fakes, StartingPoint
from sparring.recipes.common import TrainingRecipe
from sparring.recipes.kinds import AnyRecipe, require_classifier, require_game, validated
from sparring.recipes.loading import changed, load, parse_piece, recipe_names, set_key, unvalidated
from sparring.recipes.recipe import Optimizers, Recipe
from sparring.recipes.yaml import dump_yaml, parse_yaml, read_text, to_yaml

__all__ = [
    "AnyRecipe",
    "ClassifierRecipe",
    "Fakes",
    "Optimizers",
    "Recipe",
    "StartingPoint",
    "TrainingRecipe",
    "changed",
    "dump_yaml",
    "load",
    "parse_piece",
    "parse_yaml",
    "read_text",
    "recipe_names",
    "require_classifier",
    "require_game",
    "set_key",
    "to_yaml",
    "unvalidated",
    "validated",
]
