"""Recipes by name or path."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

from sparring.core.errors import UsageError
from sparring.core.pieces import AnyPiece
from sparring.core.records import nearest
from sparring.recipes.any_recipe import AnyRecipe, validated
from sparring.recipes.overrides import changed, set_key
from sparring.recipes.yaml import parse_yaml


def load(name: str, overrides: list[str] | None = None) -> AnyRecipe:
    """A recipe by name or path, with dotted keys changed.

    Args:
        name: a name from `recipe_names()`, or a path of a YAML file. A recipe may say `extends: NAME` and give, with
            dotted keys, only what it changes.
        overrides: `KEY=VALUE` with dotted keys and YAML values, for example `feedback.probability=0.4`.

    Raises:
        UsageError: there is no such recipe, or an override has no `=`.
        InvalidRecord: the result does not validate; names every mistake.
    """
    return validated(changed(unvalidated(name), overrides or []), name)


def recipe_names() -> list[str]:
    """The recipes that come with the package, as PAPER/GAME."""
    return sorted(
        f"{paper.name}/{game.name.removesuffix('.yaml')}"
        for paper in resources.files("sparring.recipes").iterdir()
        if paper.is_dir()
        for game in paper.iterdir()
        if game.name.endswith(".yaml")
    )


def unvalidated(name: str) -> dict[str, Any]:
    """The plain values of a recipe by name or path.

    Raises:
        UsageError: there is no such recipe, or it is not a mapping.
    """
    return _values(name, ())


def parse_piece(family: type[AnyPiece], text: str) -> AnyPiece:
    """A piece as recipes write it: its name, or a YAML mapping.

    Raises:
        InvalidRecord: there is no such piece, or its keys are wrong.
    """
    return family.validated(parse_yaml(text, text), text, f"see `sparring list {family.family}`")


def read_text(path: Path) -> str:
    """The text of a recipe's file.

    Raises:
        UsageError: there is no such file, it cannot be read, or it is not UTF-8.
    """
    remedy = "a recipe is a YAML file of a few lines; `sparring show RECIPE` prints one"
    if not path.is_file():
        raise UsageError(f"{path}: {'not a file' if path.exists() else 'no such file'}", remedy)
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", remedy) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text (byte {error.start:,})", "save it as UTF-8") from None


def _values(name: str, children: tuple[str, ...]) -> dict[str, Any]:
    """The values of a recipe; one that `extends` another is the other with its own dotted keys changed."""
    values = parse_yaml(_text(name), name)
    if not isinstance(values, dict):
        raise UsageError(f"{name}: a recipe is a mapping of keys, not {type(values).__name__}", "see `sparring show`")
    if "extends" not in values:
        return values
    parent = values.pop("extends")
    if not isinstance(parent, str):
        raise UsageError(f"{name}: extends = {parent!r}: should be a recipe's name or file", "name one")
    beside = os.path.normpath(Path(name).parent / parent)
    parent = beside if os.path.exists(beside) else parent
    if parent in (*children, name):
        raise UsageError(f"{name}: extends {parent}, which extends it", "break the circle")
    try:
        whole = _values(parent, (*children, name))
    except UsageError as error:
        raise UsageError(f"{name} extends {error.cause}", error.remedy) from None
    for key in sorted(values, key=lambda key: key.count(".")):  # a piece before the keys below it
        try:
            set_key(whole, key, values[key])
        except UsageError as error:
            raise UsageError(f"{name}: {error.cause}", error.remedy) from None
    return whole


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
