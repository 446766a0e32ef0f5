"""A grid of recipes: dotted keys, each with the values that it takes, and a cell for every combination of them.

A cell is one game, or one classifier. So a recipe of several packed games is as many cells of it, seed by seed, and a
grid over seeds is over single games, whatever the recipe packs: what runs together is for the sweep to choose.
"""

from __future__ import annotations

import copy
import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparring.core.errors import UsageError
from sparring.core.records import TOLD
from sparring.recipes import AnyRecipe, parse_yaml, set_key, validated

Grid = dict[str, tuple[Any, ...]]
"""Dotted keys in the order in which they are set, the last of them varying fastest; some may have one value only."""
MOST_CELLS = 10_000
"""Cells of a grid."""

_RANGE = re.compile(r"(-?[0-9]{1,18})\.\.(-?[0-9]{1,18})")


@dataclass(frozen=True)
class Cell:
    """One point of a grid.

    Args:
        index: its place, from 0.
        settings: the value of every key that varies.
        recipe: what is played there.
    """

    index: int
    settings: dict[str, Any]
    recipe: AnyRecipe


def parse_grid(words: Sequence[str]) -> Grid:
    """A grid from `KEY=A,B,...`: values in YAML, `0..9` for all whole numbers from 0 to 9.

    Raises:
        UsageError: a word has no `=`, no values, the same twice or the same key as another, or a range is empty; all of
            them at once.
    """
    grid: Grid = {}
    told: list[UsageError] = []
    for word in words:
        try:
            key, equals, text = word.partition("=")
            if not equals or not key:
                raise UsageError(f"{word!r} is not KEY=VALUES", "write, for example, objective=log,hinge seed=0..4")
            if key in grid:
                raise UsageError(f"{key}: given twice", "give all of its values at once: KEY=A,B,...")
            grid[key] = _values(text, word)
        except UsageError as error:
            told.append(error)
    if told:
        raise UsageError("\n".join(error.cause for error in told), told[0].remedy)
    return grid


def cells_of(base: Mapping[str, Any], grid: Grid, what: str) -> list[Cell]:
    """Every cell of a grid, as a valid recipe.

    Args:
        base: the plain values of the recipe that the grid changes.
        grid: what it changes.
        what: the recipe is called in errors.

    Raises:
        UsageError: a cell does not validate, the grid is too large, or it varies how many games are packed; every
            mistake is told with its cell.
    """
    if base.get("vary") or "vary" in grid:
        raise UsageError("vary: a sweep packs games by itself", "give the keys and their values to the sweep: KEY=A,B")
    if "replicas" in grid and len(grid["replicas"]) > 1:
        raise UsageError("replicas: a sweep packs games by itself", "vary the seed instead: seed=0..9")
    by_games = _game_by_game(base, grid)
    count = math.prod(len(values) for values in by_games.values())
    if count > MOST_CELLS:
        raise UsageError(f"the grid has {count:,} cells, more than {MOST_CELLS:,}", "sweep a part of it")
    varied = [key for key, values in by_games.items() if len(values) > 1]
    found, told = list[Cell](), dict[str, list[tuple[int, str]]]()
    for index, values in enumerate(itertools.product(*by_games.values())):
        settings = dict(zip(by_games, values, strict=True))
        shown = {key: settings[key] for key in varied}
        try:
            found.append(Cell(index, shown, _single(_recipe(base, settings, what))))
        except UsageError as error:
            told.setdefault(error.cause, []).append((index, in_words(shown)))
    if told:
        lines = [f"{_named(cells)}: {cause}" for cause, cells in told.items()]
        more = [f"... and {len(lines) - TOLD:,} more"] if len(lines) > TOLD else []
        raise UsageError("\n".join([*lines[:TOLD], *more]), "`sparring show RECIPE` prints every key")
    return found


def in_words(settings: Mapping[str, Any]) -> str:
    """Settings as they would be given: `objective=log seed=0`."""
    return " ".join(f"{key}={plain(value)}" for key, value in settings.items()) or "the only one"


def plain(value: Any) -> Any:
    """A value as a table has it: numbers, words and truths as they are, what is made of several as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) or value is None else value


def _named(cells: Sequence[tuple[int, str]]) -> str:
    """Cells that share a mistake: their places, and the settings of the first."""
    places = ", ".join(str(index) for index, _ in cells[:TOLD])
    if len(cells) == 1:
        return f"cell {places} ({cells[0][1]})"
    return f"cells {places}{', ...' if len(cells) > TOLD else ''} ({cells[0][1]}, ...)"


def _values(text: str, word: str) -> tuple[Any, ...]:
    found: list[Any] = []
    for value in parse_yaml(f"[{text}]", word):
        bounds = _RANGE.fullmatch(value) if isinstance(value, str) else None
        found += _range(int(bounds[1]), int(bounds[2]), word) if bounds else [value]
    marks = [json.dumps(value, sort_keys=True) for value in found]
    if len(set(marks)) < len(marks):
        raise UsageError(f"{word}: a value comes twice", "give every value once")
    if not found:
        raise UsageError(f"{word}: no values", "write, for example, seed=0..4")
    return tuple(found)


def _range(first: int, last: int, word: str) -> range:
    if last < first:
        raise UsageError(f"{word}: the range is empty", f"write {last}..{first}")
    if last - first >= MOST_CELLS:
        raise UsageError(f"{word}: more than {MOST_CELLS:,} values", "sweep a part of it")
    return range(first, last + 1)


def _recipe(base: Mapping[str, Any], settings: Mapping[str, Any], what: str) -> AnyRecipe:
    values = copy.deepcopy(dict(base))
    for key, value in settings.items():
        set_key(values, key, copy.deepcopy(value))
    return validated(values, what)


def _single(recipe: AnyRecipe) -> AnyRecipe:
    """One game of it."""
    return recipe if recipe.replicas == 1 else recipe.model_copy(update={"replicas": 1})


def _game_by_game(base: Mapping[str, Any], grid: Grid) -> Grid:
    """The grid with the seeds of a recipe's packed games as its last key, unless it varies the seed itself."""
    if len(grid.get("seed", ())) > 1:
        return grid
    games = {**base, **{key: values[0] for key, values in grid.items()}}.get("replicas", 1)
    if not isinstance(games, int) or games < 2 or games > MOST_CELLS:
        return grid  # one game, or a mistake that validation tells
    seed = grid["seed"][0] if "seed" in grid else base.get("seed", 0)
    if not isinstance(seed, int):
        return grid
    return {key: values for key, values in grid.items() if key != "seed"} | {"seed": tuple(range(seed, seed + games))}
