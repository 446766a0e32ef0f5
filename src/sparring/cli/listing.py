"""Verbs that look things up: list, show, theory."""

from __future__ import annotations

from typing import Annotated

import typer

from sparring.cli.options import AsJson, Overrides, print_json
from sparring.core.errors import UsageError


def list_(
    kind: Annotated[
        str, typer.Argument(help="recipes, families, or the name of a family: objectives, feedback, ...")
    ] = "families",
    as_json: AsJson = False,
) -> None:
    """List recipes or the members of a family, with the properties that are checked numerically."""
    from sparring.cli.catalogue import catalogue
    from sparring.cli.printing import print_rows

    title, rows = catalogue(kind)
    print_json(rows) if as_json else print_rows(title, rows)


def show(
    recipe: Annotated[str | None, typer.Argument(help="A recipe's name or file.", show_default=False)] = None,
    overrides: Overrides = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of recipes, for editors.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a recipe with every key resolved, or the JSON schema of all recipes."""
    from sparring.recipes import ClassifierRecipe, Recipe, load, to_yaml
    from sparring.recipes.json_schema import json_schema

    if schema:
        print_json(json_schema(Recipe, ClassifierRecipe))
    elif recipe is None:
        raise UsageError("show: no RECIPE given", "name one of `sparring list recipes`, or ask for --schema")
    elif as_json:
        print_json(load(recipe, overrides).model_dump(mode="json"))
    else:
        print(to_yaml(load(recipe, overrides)), end="")


def theory(
    perturbation: Annotated[
        str | None, typer.Argument(help="A perturbation, e.g. sqrt or '{name: power, exponent: 0.7}'.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print which adversaries each objective provably survives, or the conditions of Theorem 5 for one perturbation."""
    from sparring.cli.printing import print_rows
    from sparring.cli.theorems import conditions, print_theory, theory_tables

    if perturbation is not None:
        rows = conditions(perturbation)
        print_json(rows) if as_json else print_rows("Theorem 5's conditions", rows)
        return
    print_json(theory_tables()) if as_json else print_theory()
