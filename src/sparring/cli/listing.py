"""Verbs that look things up: list, show, theory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparring.cli.terminal import AsJson, Overrides, Row, cell, print_json, print_rows
from sparring.core.errors import UsageError, print_text
from sparring.core.pieces import FAMILIES, Piece, import_installed, members, summary
from sparring.core.records import nearest

if TYPE_CHECKING:
    from sparring.evaluation.protocols import PublishedProtocol

_PLURALS = {
    "class_loss": "class_losses",
    "classifier_loss": "classifier_losses",
    "criterion": "criteria",
    "data": "data",
    "delivery": "deliveries",
    "feedback": "feedback",
    "lipschitz": "lipschitz",
}


def list_(
    kind: Annotated[
        str, typer.Argument(help="recipes, protocols, families, or the name of a family: objectives, feedback, ...")
    ] = "families",
    as_json: AsJson = False,
) -> None:
    """List recipes, published protocols or the members of a family, with properties that are checked numerically."""
    rows = catalogue(kind)
    print_json(rows) if as_json else print_rows(kind, rows)


def catalogue(kind: str) -> list[Row]:
    """The rows of `sparring list KIND`.

    Args:
        kind: `recipes`, `protocols`, `families`, or a family, singular or plural.

    Raises:
        UsageError: there is no such kind.
    """
    from sparring.evaluation.protocols import PROTOCOLS
    from sparring.recipes import load, recipe_names

    if kind == "recipes":
        return [{"recipe": name, "description": load(name).description} for name in recipe_names()]
    if kind == "protocols":
        return [_protocol_row(protocol) for protocol in PROTOCOLS.values()]
    import sparring.claims.claim_schema
    import sparring.metrics  # noqa: F401  with the claims', families that recipes do not name

    import_installed()
    families = {_PLURALS.get(name, f"{name}s"): name for name in FAMILIES}
    if kind == "families":
        return [
            {"family": plural, "members": ", ".join(members(FAMILIES[name])), "what": summary(FAMILIES[name])}
            for plural, name in families.items()
        ]
    family = families.get(kind, kind)
    if family in FAMILIES:
        return [
            {"name": name, "keys": _keys(cls)} | _properties(family, cls) | {"what": summary(cls)}
            for name, cls in members(FAMILIES[family]).items()
        ]
    kinds = ["recipes", "protocols", "families", *families]
    close = nearest(kind, kinds)
    hint = f"; did you mean {close}?" if close else ""
    raise UsageError(f"{kind!r} cannot be listed{hint}", f"one of: {', '.join(kinds)}")


def _protocol_row(protocol: PublishedProtocol) -> Row:
    return {
        "protocol": protocol.name,
        "generated": protocol.generated,
        "splits": protocol.splits,
        "Fréchet distance from": "all training images" if protocol.reference == "training" else None,
        "best of runs": protocol.best_of,
        "mean of last epochs": protocol.last_epochs or None,
        "figure": protocol.figure,
        "stated": "; ".join(filter(None, (protocol.stated, protocol.remark))),
    }


def _keys(cls: type[Piece]) -> str:
    """The keys of a piece with their defaults, as in a recipe."""
    return " ".join(
        key if field.is_required() else f"{key}={cell(field.get_default())}" for key, field in cls.model_fields.items()
    )


def _properties(family: str, cls: type[Any]) -> Row:
    """Properties that are checked numerically; None for a piece with a key that has no default."""
    from sparring.objectives import is_increasing, is_odd
    from sparring.theory.theorem_coverage import perturbation_row

    piece = None if any(field.is_required() for field in cls.model_fields.values()) else cls()
    if family == "objective":
        return {
            "f_D odd": piece and is_odd(piece.real),
            "f_G odd": piece and is_odd(piece.generator),
            "f_D increasing": piece and is_increasing(piece.real),
        }
    if family == "perturbation":
        row = piece and perturbation_row(piece)
        return {"condition 1": row and row.first, "condition 2": row and row.second}
    return {}


def show(
    recipe: Annotated[str | None, typer.Argument(help="A recipe's name or file.", show_default=False)] = None,
    overrides: Overrides = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of recipes, for editors.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a recipe with every key resolved, or the JSON schema of all recipes."""
    from sparring.core.pieces import json_schema
    from sparring.recipes import AnyRecipe, load, to_yaml

    if schema:
        print_json(json_schema(AnyRecipe))
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
    picture: Annotated[
        Path | None, typer.Option(help="Draw the objectives in H (figure 2a) into this .svg, .png or .pdf instead.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print which adversaries each objective provably survives, or the conditions of Theorem 5 for one perturbation."""
    from sparring.cli.theorems import objectives_picture, print_theory, theory_tables
    from sparring.feedback import Perturbation
    from sparring.recipes import parse_piece
    from sparring.theory.theorem_coverage import perturbation_row

    if picture is not None:
        if perturbation is not None:
            raise UsageError(f"theory: a picture is of all objectives, not of {perturbation}", "leave one of them out")
        objectives_picture().save(picture)
        print_json({"picture": str(picture)}) if as_json else print_text(f"picture: {picture}")
        return
    if perturbation is not None:
        rows = [perturbation_row(parse_piece(Perturbation, perturbation))._asdict()]
        print_json(rows) if as_json else print_rows("Theorem 5's conditions", rows)
        return
    print_json(theory_tables()) if as_json else print_theory()
