"""The code that a run may name. A recipe given to `train` may name any; a run folder from elsewhere none.

`package.module:Class` in a recipe is code that runs as soon as the recipe is read. The user who gives a recipe to
`train` has chosen it. The user who opens a run folder may not know; so the recipes that this user started are
remembered in the cache folder, and anything else must be allowed by name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sparring.core.errors import CorruptInput, StorageError, UsageError
from sparring.core.files import write_whole
from sparring.core.pieces import REFERENCE, import_object
from sparring.recipes import parse_yaml
from sparring.runs.caching import cache_folder

ALLOWED = "SPARRING_ALLOW"
"""The environment variable that lists modules that any run may name, separated by commas."""


def trust(text: str, values: Any) -> None:
    """Remember a recipe that this user starts.

    Args:
        text: recipe.yaml of the run.
        values: its content.
    """
    if not named_modules(values):
        return
    mark = _mark(text)
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        write_whole(mark, b"")
    except (OSError, StorageError):
        return  # without a cache the recipe is not remembered; no run fails for that


def trust_as(text: str, earlier: str) -> None:
    """Remember a recipe of a run whose earlier recipe this user started.

    Args:
        text: recipe.yaml of the run.
        earlier: what it was before.
    """
    if _mark(earlier).is_file():
        trust(text, parse_yaml(text, "recipe.yaml"))


def require_trusted(path: Path, text: str, values: Any) -> None:
    """Refuse to import code that a run names, unless this user started the run or allows the module.

    Args:
        path: of the recipe.
        text: of the recipe.
        values: its content.

    Raises:
        CorruptInput: it names a module that is neither allowed nor part of this package.
    """
    allowed = {"sparring", *(name.strip() for name in os.environ.get(ALLOWED, "").split(","))}
    unknown = sorted(named_modules(values) - allowed)
    if unknown and not _mark(text).is_file():
        raise CorruptInput(
            f"{path}: names code that would be run, of {', '.join(unknown)}, and was not started by you here",
            f"read that code; if you trust it, set {ALLOWED}={','.join(unknown)}",
        )


def require_importable(path: Path, values: Any) -> None:
    """Import the code that a trusted recipe names.

    Args:
        path: of the recipe.
        values: its content.

    Raises:
        UsageError: some of it cannot be imported from here.
    """
    for reference in _references(values):
        try:
            import_object(reference)
        except ImportError as error:
            file = f"{reference.partition(':')[0].partition('.')[0]}.py"
            raise UsageError(
                f"{path}: names {reference}: {error}",
                f"run from the folder that holds the {file} of this run, or set PYTHONPATH to that folder",
            ) from None


def named_modules(values: Any) -> set[str]:
    """The top-level modules of every `package.module:attribute` in a recipe, except in its description."""
    return {reference.partition(":")[0].partition(".")[0] for reference in _references(values)}


def _references(values: Any) -> list[str]:
    return [text for text in _texts(values) if REFERENCE.fullmatch(text)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _texts(each if key != "description" else None)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _mark(text: str) -> Path:
    return cache_folder() / "trusted" / hashlib.sha256(text.encode()).hexdigest()
