"""Rows for `sparring list` and `sparring theory`: recipes, families and their members, and the theorems' tables."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from sparring.cli.printing import Row, cell
from sparring.cli.theorems import perturbation_table, theory_table
from sparring.core.errors import UsageError
from sparring.core.pieces import FAMILIES, Piece, members, summary
from sparring.core.records import nearest
from sparring.feedback import Perturbation
from sparring.objectives import is_increasing, is_odd
from sparring.recipes import load, parse_piece, recipe_names
from sparring.theory import perturbation_row

_PLURALS = {
    "class_loss": "class_losses",
    "criterion": "criteria",
    "data": "data",
    "delivery": "deliveries",
    "feedback": "feedback",
    "lipschitz": "lipschitz",
}


def catalogue(kind: str) -> tuple[str, list[Row]]:
    """A title and rows for `sparring list KIND`.

    Args:
        kind: `recipes`, `families`, or a family, singular or plural.

    Raises:
        UsageError: there is no such kind.
    """
    families = {_plural(name): name for name in FAMILIES}
    plural = _plural(kind) if kind in FAMILIES else kind
    if plural in families:
        return plural, _pieces(families[plural])
    if kind == "recipes":
        return kind, [{"recipe": name, "description": load(name).description} for name in recipe_names()]
    if kind == "families":
        return kind, [
            {"family": plural, "members": ", ".join(members(FAMILIES[name])), "what": summary(FAMILIES[name])}
            for plural, name in families.items()
        ]
    kinds = ["recipes", "families", *families]
    close = nearest(kind, kinds)
    hint = f"; did you mean {close}?" if close else ""
    raise UsageError(f"{kind!r} cannot be listed{hint}", f"one of: {', '.join(kinds)}")


def theory_tables() -> Row:
    """Both tables of `sparring theory` as plain values; infinities are strings."""
    games = [{key: _finite(value) for key, value in row._asdict().items()} for row in theory_table()]
    return {"games": games, "perturbations": [row._asdict() for row in perturbation_table()]}


def conditions(perturbation: str) -> list[Row]:
    """Which of Theorem 5's conditions a perturbation, written as in a recipe, satisfies.

    Raises:
        InvalidRecord: there is no such perturbation.
    """
    return [perturbation_row(parse_piece(Perturbation, perturbation))._asdict()]


def _finite(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _plural(family: str) -> str:
    return _PLURALS.get(family, f"{family}s")


def _pieces(family: str) -> list[Row]:
    properties = _PROPERTIES.get(family, _no_properties)
    return [
        {"name": name, "keys": _keys(cls)} | properties(cls) | {"what": summary(cls)}
        for name, cls in members(FAMILIES[family]).items()
    ]


def _keys(cls: type[Piece]) -> str:
    """The keys of a piece with their defaults, as in a recipe."""
    return " ".join(
        key if field.is_required() else f"{key}={cell(field.get_default())}" for key, field in cls.model_fields.items()
    )


def _no_properties(_cls: type[Any]) -> Row:
    return {}


def _objective_properties(cls: type[Any]) -> Row:
    try:
        objective = cls()
    except ValidationError:  # a key has no default
        return {"f_D odd": "-", "f_G odd": "-", "f_D increasing": "-"}
    return {
        "f_D odd": is_odd(objective.real),
        "f_G odd": is_odd(objective.generator),
        "f_D increasing": is_increasing(objective.real),
    }


def _perturbation_properties(cls: type[Any]) -> Row:
    rows = {row.name.split("(")[0].split(":")[0].strip(): row for row in perturbation_table()}
    row = rows.get(cls.name)
    return {"condition 1": row.first if row else "-", "condition 2": row.second if row else "-"}


_PROPERTIES: dict[str, Callable[[type[Any]], Row]] = {
    "objective": _objective_properties,
    "perturbation": _perturbation_properties,
}
