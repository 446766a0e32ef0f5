"""Recipes found by name or path, and changed by dotted keys."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sparring.core.errors import UsageError
from sparring.core.pieces import AnyPiece, Piece, UnknownPiece, find
from sparring.core.records import InvalidRecord, Record, nearest, problems_in
from sparring.recipes.kinds import AnyRecipe, kind_of, validated
from sparring.recipes.yaml import DEEPEST, parse_yaml, read_text


def parse_piece(family: type[AnyPiece], text: str) -> AnyPiece:
    """A piece given as in a recipe: its name, or a YAML mapping.

    Raises:
        InvalidRecord: there is no such piece, or its keys are wrong.
    """
    try:
        return family.model_validate(parse_yaml(text, text))
    except ValidationError as error:
        remedy = f"see `sparring list {family.family}`"
        raise InvalidRecord(text, problems_in(error), remedy) from None


def recipe_names() -> list[str]:
    """The recipes that come with the package, as PAPER/GAME."""
    return sorted(
        f"{paper.name}/{game.name.removesuffix('.yaml')}"
        for paper in resources.files("sparring.recipes").iterdir()
        if paper.is_dir()
        for game in paper.iterdir()
        if game.name.endswith(".yaml")
    )


def load(name: str, overrides: list[str] | None = None) -> AnyRecipe:
    """A recipe by name or path, with dotted keys changed.

    Args:
        name: a name from `recipe_names()`, or a path of a YAML file. A recipe may say `extends: NAME` and give, with
            dotted keys, only what it changes.
        overrides: `KEY=VALUE` with dotted keys and YAML values, for example `feedback.probability=0.4`.

    Raises:
        UsageError: there is no such recipe, or an override has no `=`.
        InvalidRecord: the result does not validate; every mistake is named.
    """
    return validated(changed(unvalidated(name), overrides or []), name)


def unvalidated(name: str) -> dict[str, Any]:
    """The plain values of a recipe by name or path, as they are before anything is changed in them.

    Raises:
        UsageError: there is no such recipe, or it is no mapping.
    """
    return _values(name, ())


def changed(values: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """The plain values of a recipe with dotted keys changed, in place.

    Raises:
        UsageError: an override has no `=`, or a key lies below something that holds none; all of them at once.
    """
    told: list[UsageError] = []
    for override in overrides:
        key, equals, value = override.partition("=")
        try:
            if not equals or not key:
                raise UsageError(f"{override!r} is not KEY=VALUE", "write, for example, objective=log steps=1000")
            set_key(values, key, parse_yaml(value, override))
        except UsageError as error:
            told.append(error)
    if told:
        raise UsageError("\n".join(error.cause for error in told), told[0].remedy)
    return values


def _values(name: str, heirs: tuple[str, ...]) -> dict[str, Any]:
    """What a recipe's YAML says; one that `extends` another is the other with its own dotted keys changed."""
    values = parse_yaml(_text(name), name)
    if not isinstance(values, dict):
        raise UsageError(f"{name}: a recipe is a mapping of keys, not {type(values).__name__}", "see `sparring show`")
    if "extends" not in values:
        return values
    parent = values.pop("extends")
    if not isinstance(parent, str):
        raise UsageError(f"{name}: extends = {parent!r}: should be a recipe's name or file", "name one")
    parent = _beside(name, parent)
    if parent in (*heirs, name):
        raise UsageError(f"{name}: extends {parent}, which extends it", "break the circle")
    try:
        whole = _values(parent, (*heirs, name))
    except UsageError as error:
        raise UsageError(f"{name} extends {error.cause}", error.remedy) from None
    for key in sorted(values, key=lambda key: key.count(".")):  # a piece before the keys below it
        try:
            set_key(whole, key, values[key])
        except UsageError as error:
            raise UsageError(f"{name}: {error.cause}", error.remedy) from None
    return whole


def _beside(heir: str, parent: str) -> str:
    """The recipe that an heir names: by name, or as a path from the heir's own folder."""
    path = os.path.normpath(Path(heir).parent / parent)
    return path if os.path.exists(path) else parent


def _text(name: str) -> str:
    known = recipe_names()
    if name in known:
        return (resources.files("sparring.recipes") / f"{name}.yaml").read_text(encoding="utf-8")
    try:
        return read_text(Path(name))
    except UsageError as error:
        close = "" if os.path.isfile(name) else nearest(name, known)
        hint = f"; did you mean {close}?" if close else ""
        raise UsageError(f"{error.cause}{hint}", "`sparring list recipes` shows the names") from None


def set_key(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key, in place; what is left out on the way there is filled in by the defaults of its record.

    Raises:
        UsageError: it lies below something that holds no keys, or has more parts than any key.
    """
    keys = key.split(".")
    if len(keys) > DEEPEST:
        raise UsageError(f"{key[:100]}...: a key of {len(keys):,} parts", "see `sparring show`")
    record: type[Record] | None = kind_of(values)
    for depth, key in enumerate(keys[:-1]):
        held = values.get(key, _default(record, key))
        held = {"name": held} if isinstance(held, str) else {} if held is None else held
        if not isinstance(held, dict):
            path = ".".join(keys[: depth + 1])
            raise UsageError(f"{'.'.join(keys)}: {path} holds no keys", f"give the whole value of {path}")
        # Another piece of the family has keys of its own.
        held = {} if keys[depth + 1 :] == ["name"] else held
        record = _record_of(record, key, held)
        values[key] = held
        values = held
    values[keys[-1]] = value


def _default(record: type[Record] | None, key: str) -> Any:
    """What a key that is left out stands for, so that a key below it can be changed."""
    field = record.model_fields.get(key) if record else None
    default = field.get_default() if field and not field.is_required() else {}
    return default.model_dump(mode="json") if isinstance(default, Record) else default


def _record_of(record: type[Record] | None, key: str, values: dict[str, Any]) -> type[Record] | None:
    """The record that the values of a key will become, or None where only validation can tell."""
    field = record.model_fields.get(key) if record else None
    if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, Record)):
        return None
    if not issubclass(field.annotation, Piece):
        return field.annotation
    try:
        return find(field.annotation, values.get("name"))
    except UnknownPiece:
        return None
