"""A grid of recipes: dotted keys with the values that each takes, and a cell for every combination of them.

A cell is one game or one classifier. A recipe of several packed games is as many cells, one for each seed; which cells
are trained together is decided by `packing`.
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
from sparring.core.records import SHOWN
from sparring.recipes import AnyRecipe, parse_yaml, set_key, validated

Grid = dict[str, tuple[Any, ...]]
"""Dotted keys and their values, in the order in which keys are set. The last key varies fastest."""
MOST_CELLS = 10_000
"""Cells of a grid."""

_RANGE = re.compile(r"(-?[0-9]+)\.\.(-?[0-9]+)")


@dataclass(frozen=True)
class Cell:
    """One point of a grid.

    Args:
        index: from 0, in the order of the grid.
        settings: the value of every key that varies.
        recipe: of one game or classifier.
    """

    index: int
    settings: dict[str, Any]
    recipe: AnyRecipe


def parse_grid(words: Sequence[str]) -> Grid:
    """Parse `KEY=A,B,...`: values in YAML, `0..9` for the integers from 0 to 9.

    Raises:
        UsageError: names every mistake: no `=`, no values, a value or a key given twice, an empty range.
    """
    grid: Grid = {}
    mistakes: list[UsageError] = []
    for word in words:
        try:
            key, equals, text = word.partition("=")
            if not equals or not key:
                raise UsageError(f"{word!r} is not KEY=VALUES", "write, for example, objective=log,hinge seed=0..4")
            if key in grid:
                raise UsageError(f"{key}: given twice", "give all of its values at once: KEY=A,B,...")
            grid[key] = _values(text, word)
        except UsageError as error:
            mistakes.append(error)
    if mistakes:
        raise UsageError("\n".join(error.cause for error in mistakes), mistakes[0].remedy)
    return grid


def cells_of(base: Mapping[str, Any], grid: Grid, what: str) -> list[Cell]:
    """Every cell of a grid, as a valid recipe.

    Args:
        base: plain values of the recipe that the grid changes.
        grid: what it changes.
        what: name of the recipe in errors.

    Raises:
        UsageError: recipes of cells are invalid (names every mistake with its cells), the grid is too large, or it
            varies `replicas`.
    """
    if len(grid.get("replicas", ())) > 1:
        raise UsageError("replicas: a sweep chooses how many games it packs", "vary the seed instead: seed=0..9")
    by_games = _one_seed_a_cell(base, grid)
    count = math.prod(len(values) for values in by_games.values())
    if count > MOST_CELLS:
        raise UsageError(f"the grid has {count:,} cells, more than {MOST_CELLS:,}", "sweep a part of it")
    varied = [key for key, values in by_games.items() if len(values) > 1]
    found, mistakes = list[Cell](), dict[str, list[str]]()
    for index, values in enumerate(itertools.product(*by_games.values())):
        settings = dict(zip(by_games, values, strict=True))
        shown = {key: settings[key] for key in varied}
        try:
            found.append(Cell(index, shown, _single(_recipe(base, settings, what))))
        except UsageError as error:
            mistakes.setdefault(error.cause, []).append(f"cell {index} ({assignments(shown)})")
    if mistakes:
        lines = [f"{_first_of(cells)}: {cause}" for cause, cells in mistakes.items()]
        more = [f"... and {len(lines) - SHOWN:,} more"] if len(lines) > SHOWN else []
        raise UsageError("\n".join([*lines[:SHOWN], *more]), "`sparring show RECIPE` prints every key")
    return found


def assignments(settings: Mapping[str, Any]) -> str:
    """Settings as on the command line: `objective=log seed=0`."""
    return " ".join(f"{key}={table_value(value)}" for key, value in settings.items()) or "the only cell"


def table_value(value: Any) -> Any:
    """A value as it is in a table: numbers, booleans and strings unchanged, lists and mappings as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) or value is None else value


def _first_of(cells: Sequence[str]) -> str:
    return cells[0] if len(cells) == 1 else f"{cells[0]} and {len(cells) - 1:,} more"


def _values(text: str, word: str) -> tuple[Any, ...]:
    found: list[Any] = []
    for value in parse_yaml(f"[{text}]", word):
        bounds = _RANGE.fullmatch(value) if isinstance(value, str) else None
        found += _range(int(bounds[1]), int(bounds[2]), word) if bounds else [value]
    marks = [json.dumps(value, sort_keys=True) for value in found]
    if len(set(marks)) < len(marks):
        raise UsageError(f"{word}: a value is given twice", "give every value once")
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
    """The recipe of one game."""
    return recipe if recipe.replicas == 1 else recipe.model_copy(update={"replicas": 1})


def _one_seed_a_cell(base: Mapping[str, Any], grid: Grid) -> Grid:
    """The grid with the seeds of the recipe's replicas as its last key, unless it varies the seed already."""
    if len(grid.get("seed", ())) > 1:
        return grid
    games = {**base, **{key: values[0] for key, values in grid.items()}}.get("replicas", 1)
    if not isinstance(games, int) or games < 2 or games > MOST_CELLS:
        return grid  # one game, or a mistake that validation reports
    seed = grid["seed"][0] if "seed" in grid else base.get("seed", 0)
    if not isinstance(seed, int):
        return grid
    return {key: values for key, values in grid.items() if key != "seed"} | {"seed": tuple(range(seed, seed + games))}
