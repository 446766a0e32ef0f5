"""Rows for `sparring list`: recipes, families, and the members of a family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from sparring.cli.printing import Row, cell
from sparring.core.errors import UsageError
from sparring.core.pieces import FAMILIES, Piece, members, summary
from sparring.core.records import nearest
from sparring.objectives import is_increasing, is_odd
from sparring.recipes import load, recipe_names
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
    try:
        row = perturbation_row(cls())
    except ValidationError:
        return {"condition 1": "-", "condition 2": "-"}
    return {"condition 1": row.first, "condition 2": row.second}


_PROPERTIES: dict[str, Callable[[type[Any]], Row]] = {
    "objective": _objective_properties,
    "perturbation": _perturbation_properties,
}
