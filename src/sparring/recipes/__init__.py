"""Recipes: the frozen record of a game, and the YAML files that it comes from."""

from sparring.recipes.loading import load, parse_piece, parse_yaml, recipe_names, to_yaml
from sparring.recipes.recipe import Optimizers, Recipe, validated

__all__ = ["Optimizers", "Recipe", "load", "parse_piece", "parse_yaml", "recipe_names", "to_yaml", "validated"]
