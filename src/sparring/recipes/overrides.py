"""Changes of a recipe by dotted keys, such as `optimizers.generator.lr=1e-3`."""

from __future__ import annotations

from typing import Any

from sparring.core.errors import UsageError
from sparring.core.pieces import Piece, UnknownPiece, find
from sparring.core.records import Record
from sparring.recipes.any_recipe import record_for
from sparring.recipes.yaml import parse_yaml


def changed(values: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """The plain values of a recipe with dotted keys changed, in place.

    Args:
        values: of the recipe.
        overrides: `KEY=VALUE`, values in YAML.

    Raises:
        UsageError: an override has no `=`, or a key lies below a value that has no keys. Names all such overrides.
    """
    errors: list[UsageError] = []
    for override in overrides:
        key, equals, value = override.partition("=")
        try:
            if not equals or not key:
                raise UsageError(f"{override!r} is not KEY=VALUE", "write, for example, objective=log steps=1000")
            set_key(values, key, parse_yaml(value, override))
        except UsageError as error:
            errors.append(error)
    if errors:
        raise UsageError("\n".join(error.cause for error in errors), errors[0].remedy)
    return values


def set_key(values: dict[str, Any], dotted: str, value: Any) -> None:
    """Set a dotted key in place. Keys on the way that are missing get the defaults of their records.

    Raises:
        UsageError: it lies below a value that has no keys.
    """
    keys = dotted.split(".")
    record: type[Record] | None = record_for(values)
    for depth, key in enumerate(keys[:-1], start=1):
        held = values.get(key, _default(record, key))
        held = {"name": held} if isinstance(held, str) else {} if held is None else held
        if not isinstance(held, dict):
            path = ".".join(keys[:depth])
            raise UsageError(f"{dotted}: {path} holds no keys", f"give the whole value of {path}")
        if keys[depth:] == ["name"]:
            held = {}  # another piece has other keys
        record = _record_at(record, key, held)
        values[key] = held
        values = held
    values[keys[-1]] = value


def _default(record: type[Record] | None, key: str) -> Any:
    """The default of a key as plain values."""
    field = record.model_fields.get(key) if record else None
    default = field.get_default() if field and not field.is_required() else {}
    return default.model_dump(mode="json") if isinstance(default, Record) else default


def _record_at(record: type[Record] | None, key: str, values: dict[str, Any]) -> type[Record] | None:
    """The record that the values of a key are for; None if only validation can find out."""
    field = record.model_fields.get(key) if record else None
    if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, Record)):
        return None
    if not issubclass(field.annotation, Piece):
        return field.annotation
    try:
        return find(field.annotation, values.get("name"))
    except UnknownPiece:
        return None
