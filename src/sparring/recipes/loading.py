"""Recipes as YAML: found by name or path, changed by dotted keys, written back with nothing left to defaults."""

from __future__ import annotations

import os
import re
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sparring.errors import UsageError
from sparring.pieces import AnyPiece, Piece, UnknownPiece, find
from sparring.recipes.common import TrainingRecipe
from sparring.recipes.kinds import AnyRecipe, kind_of, validated
from sparring.records import InvalidRecord, Record, nearest, problems_in


class _Loader(yaml.SafeLoader):
    """Safe YAML with 1e-4 as a number, only true and false as booleans, and no duplicate keys."""


_REPLACED = ("tag:yaml.org,2002:float", "tag:yaml.org,2002:bool")
_NUMBER = r"[-+]?(?:[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)"
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _REPLACED]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(rf"^(?:{_NUMBER}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"),
    list("-+0123456789."),
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    pairs: list[tuple[Any, Any]] = loader.construct_pairs(node, deep=True)
    keys = [str(key) for key, _ in pairs]
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    if repeated:
        problem = f"key given twice: {', '.join(repeated)}"
        raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
    return dict(pairs)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


class _Dumper(yaml.SafeDumper):
    """Quotes what the loader would otherwise read as something else than text."""


_Dumper.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers


def parse_yaml(text: str, what: str) -> Any:
    """Plain values from YAML.

    Raises:
        UsageError: it is not YAML, or gives a key twice; names the line.
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UsageError(f"{what}{line}: {error.problem}", "correct the YAML there") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{what}: not YAML ({error})".replace("\n", " "), "correct the YAML") from None


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


def to_yaml(recipe: TrainingRecipe) -> str:
    """The recipe with every key written out; `load` reads it back to an equal record."""
    text: str = yaml.dump(recipe.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


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
    return validated(changed(_values(name, ()), overrides or []), name)


def changed(values: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """The plain values of a recipe with dotted keys changed, in place.

    Raises:
        UsageError: an override has no `=`, or a key lies below something that holds none.
    """
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise UsageError(f"{override!r} is not KEY=VALUE", "write, for example, objective=log steps=1000")
        _change(values, key.split("."), parse_yaml(value, override))
    return values


def _values(name: str, heirs: tuple[str, ...]) -> dict[str, Any]:
    """What a recipe's YAML says; one that `extends` another is the other with its own dotted keys changed."""
    values = parse_yaml(_text(name), name)
    if not isinstance(values, dict):
        raise UsageError(f"{name}: a recipe is a mapping of keys, not {type(values).__name__}", "see `sparring show`")
    if "extends" not in values:
        return values
    parent = _beside(name, str(values.pop("extends")))
    if parent in (*heirs, name):
        raise UsageError(f"{name}: extends {parent}, which extends it", "break the circle")
    try:
        whole = _values(parent, (*heirs, name))
    except UsageError as error:
        raise UsageError(f"{name} extends {error.cause}", error.remedy) from None
    paths = {str(key): str(key).split(".") for key in values}
    for key in sorted(paths, key=lambda key: len(paths[key])):  # a piece before the keys below it
        _change(whole, paths[key], values[key])
    return whole


def _beside(heir: str, parent: str) -> str:
    """The recipe that an heir names: by name, or as a path from the heir's own folder."""
    path = os.path.normpath(Path(heir).parent / parent)
    return path if os.path.exists(path) else parent


def _text(name: str) -> str:
    known = recipe_names()
    if name in known:
        return (resources.files("sparring.recipes") / f"{name}.yaml").read_text(encoding="utf-8")
    path = Path(name)
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        close = nearest(name, known)
        hint = f"; did you mean {close}?" if close else ""
        reason = "neither a recipe nor a file" if not path.exists() else f"cannot be read: {error}"
        raise UsageError(f"{name}: {reason}{hint}", "`sparring list recipes` shows the names") from None


def _change(values: dict[str, Any], keys: list[str], value: Any) -> None:
    """Set a nested key; what is left out on the way there is filled in by the defaults of its record."""
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
