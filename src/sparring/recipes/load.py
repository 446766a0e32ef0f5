"""Recipes by name or path, with dotted keys such as `optimizers.generator.lr=1e-3` changed, validated."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any

from sparring.core.errors import UsageError
from sparring.core.pieces import AnyPiece, Piece, UnknownPiece, find, members
from sparring.core.records import UNKNOWN_KEY, InvalidRecord, Record, nearest
from sparring.recipes.base import TrainingRecipe, path_as_store
from sparring.recipes.classifier import ClassifierRecipe
from sparring.recipes.gan import Recipe
from sparring.recipes.keys import dotted_keys, with_whole_keys, without
from sparring.recipes.yaml import parse_yaml

_REMEDY = "`sparring show RECIPE` prints every key"
AnyRecipe = Recipe | ClassifierRecipe


def load(name: str, overrides: list[str] | None = None) -> AnyRecipe:
    """A recipe by name or path, with dotted keys changed.

    Args:
        name: a name from `recipe_names()`, or a path of a YAML file. A recipe may say `extends: NAME` and give, with
            dotted keys, only what it changes.
        overrides: `KEY=VALUE` with dotted keys and YAML values, for example `feedback.probability=0.4`.

    Raises:
        UsageError: there is no such recipe, or an override has no `=`.
        InvalidRecord: the result does not validate; names every mistake.

    Example:
        >>> recipe = load("dishonest/ring-small", ["feedback.probability=0.2", "objective=hinge"])
        >>> recipe.feedback.probability, recipe.objective.name
        (0.2, 'hinge')
    """
    return _loaded(name, lambda values: changed(values, overrides or []))


def load_with(name: str, keys: Mapping[str, Any]) -> AnyRecipe:
    """The same with dotted keys set to plain values, as by `with_keys`."""
    return _loaded(name, lambda values: with_keys(values, keys))


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


def validated(values: Any, what: str) -> AnyRecipe:
    """A recipe from plain values, as YAML gives them.

    Args:
        values: of the recipe.
        what: name of the recipe in errors.

    Raises:
        InvalidRecord: with every mistake; for an unknown key, with the whole keys that may have been meant.
    """
    record = _record_for(values)
    try:
        return record.validated(values, what, _REMEDY)
    except InvalidRecord as error:
        unknown = [problem.path for problem in error.problems if problem.message == UNKNOWN_KEY]
        if not unknown:
            raise
        known = without(values, unknown)
        given = list(dotted_keys(known))
        with suppress(InvalidRecord):
            known = record.validated(known, what, _REMEDY).model_dump(mode="json")
        keys = list(dotted_keys(known))
        problems = [with_whole_keys(each, given, keys) for each in error.problems]
        other = [remedy for path in unknown if (remedy := _other_member(values, path))]
        raise InvalidRecord(what, problems, "; ".join([*other[:1], _REMEDY])) from None


def require_game(recipe: TrainingRecipe, what: str) -> Recipe:
    """The recipe, if it is a GAN's.

    Raises:
        UsageError: it is a classifier's.
    """
    if isinstance(recipe, Recipe):
        return recipe
    raise UsageError(f"{what}: trains a classifier, so there is no generator", "name a game, or a run of one")


def require_classifier(recipe: TrainingRecipe, what: str) -> ClassifierRecipe:
    """The recipe, if it is a classifier's.

    Raises:
        UsageError: it is a GAN's.
    """
    if isinstance(recipe, ClassifierRecipe):
        return recipe
    raise UsageError(f"{what}: is a game, not a classifier", "`sparring finetune` makes a classifier of its D")


def parse_piece(family: type[AnyPiece], text: str) -> AnyPiece:
    """A piece as recipes write it: its name, or a YAML mapping.

    Raises:
        InvalidRecord: there is no such piece, or its keys are wrong.
    """
    return family.validated(parse_yaml(text, text), text, f"see `sparring list {family.family}`")


def changed(values: dict[str, Any], overrides: list[str]) -> dict[str, Any]:
    """The plain values of a recipe with dotted keys changed, in place, as by `with_keys`.

    Args:
        values: of the recipe.
        overrides: `KEY=VALUE`, values in YAML.

    Raises:
        UsageError: an override has no `=`, or a key lies below a value that has no keys. Names all such overrides.
    """
    errors: list[UsageError] = []
    for override in sorted(overrides, key=lambda override: _depth(override.partition("=")[0])):
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


def with_keys(values: dict[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values of a recipe with dotted keys set, in place; a piece, or its name, before the keys below it.

    Raises:
        UsageError: a key lies below a value that has no keys.
    """
    for key in sorted(keys, key=_depth):
        set_key(values, key, keys[key])
    return values


def _depth(key: str) -> int:
    """How deep a dotted key lies; the name of a piece as deep as the piece."""
    return key.removesuffix(".name").count(".")


def set_key(values: dict[str, Any], dotted: str, value: Any) -> None:
    """Set a dotted key in place. Keys on the way that are missing get the defaults of their records.

    Raises:
        UsageError: it lies below a value that has no keys.
    """
    keys = dotted.split(".")
    record: type[Record] | None = _record_for(values)
    for depth, key in enumerate(keys[:-1], start=1):
        held = values.get(key, _default(record, key))
        held = path_as_store(held) if key == "data" else held
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


def _other_member(values: Any, path: tuple[str, ...]) -> str:
    """What to write where not this piece but others of its family have the key at the path; nothing if none has."""
    *above, key = path
    record: type[Record] | None = _record_for(values)
    family: Any = None
    for each in above:
        if record is None or each not in record.model_fields:
            return ""
        family = record.model_fields[each].annotation
        held = values.get(each, _default(record, each))
        values = {"name": held} if isinstance(held, str) else held
        record = _record_at(record, each, values) if isinstance(values, Mapping) else None
    if not (isinstance(family, type) and issubclass(family, Piece)):
        return ""
    having = [f"{'.'.join(above)}={name}" for name, member in members(family).items() if key in member.model_fields]
    return f"{key} is a key of {' or '.join(having[:3])}" if having else ""


def _loaded(name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> AnyRecipe:
    """A recipe by name after a change of its values; it knows how many rounds the named one has."""
    values = unvalidated(name)
    planned = values.get("steps")
    values = change(values)
    return validated(values if values.get("steps") == planned else {"planned_steps": planned} | values, name)


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
    try:
        return with_keys(whole, values)
    except UsageError as error:
        raise UsageError(f"{name}: {error.cause}", error.remedy) from None


def _text(name: str) -> str:
    known = recipe_names()
    if name in known:
        return (resources.files("sparring.recipes") / f"{name}.yaml").read_text(encoding="utf-8")
    path, remedy = Path(name), "`sparring list recipes` shows the names"
    if (path / "recipe.yaml").is_file():
        raise UsageError(f"{path}: a run folder, not a recipe", f"name its recipe: {path / 'recipe.yaml'}")
    if not path.is_file():
        close = nearest(name, known)
        hint = f"; did you mean {close}?" if close else ""
        raise UsageError(f"{path}: {'not a file' if path.exists() else 'no such file'}{hint}", remedy)
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", remedy) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text (byte {error.start:,})", remedy) from None


def _record_for(values: Any) -> type[Recipe] | type[ClassifierRecipe]:
    """The record that plain values are for: the one that knows most of their keys."""
    keys = values.keys() if isinstance(values, Mapping) else ()
    known, of_classifier = (len(record.model_fields.keys() & keys) for record in (Recipe, ClassifierRecipe))
    return ClassifierRecipe if of_classifier > known else Recipe


def _default(record: type[Record] | None, key: str) -> Any:
    """The default of a key as plain values."""
    field = record.model_fields.get(key) if record else None
    default = field.get_default() if field and not field.is_required() else {}
    return default.model_dump(mode="json") if isinstance(default, Record) else default


def _record_at(record: type[Record] | None, key: str, values: Mapping[str, Any]) -> type[Record] | None:
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
