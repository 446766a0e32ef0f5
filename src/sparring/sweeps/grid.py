"""A grid of recipes: dotted keys with the values that each takes, and a cell for every combination of them.

A cell is one game or one classifier. Cells that differ in nothing but consecutive seeds share a run.
"""

from __future__ import annotations

import copy
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparring.core.errors import UsageError
from sparring.recipes import AnyRecipe, Recipe, parse_yaml, validated, with_keys

Grid = dict[str, tuple[Any, ...]]
"""Dotted keys and their values, in the order in which keys are set. The last key varies fastest."""
MOST_CELLS = 10_000
"""Cells of a grid."""
MOST_PACKED = 64
"""Games in one run. Beyond this a core gains nothing by packing more."""

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


@dataclass(frozen=True)
class Pack:
    """Cells that are trained in one run.

    Args:
        recipe: of the run.
        cells: one for each game of the run, by seed.
    """

    recipe: AnyRecipe
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """The name of the run folder: index of the first cell, and the number of cells if there are several."""
        first = f"{min(cell.index for cell in self.cells):04d}"
        return first if len(self.cells) == 1 else f"{first}x{len(self.cells)}"


def parse_grid(words: Sequence[str]) -> Grid:
    """Parse `KEY=A,B,...`: values in YAML, `0..9` for the integers from 0 to 9.

    Raises:
        UsageError: no `=`, no values, a value or a key given twice, an empty range.
    """
    grid: Grid = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise UsageError(f"{word!r} is not KEY=VALUES", "write, for example, objective=log,hinge seed=0..4")
        if key in grid:
            raise UsageError(f"{key}: given twice", "give all of its values at once: KEY=A,B,...")
        grid[key] = _values(text, word)
    return grid


def cells_of(base: Mapping[str, Any], grid: Grid, what: str) -> list[Cell]:
    """Every cell of a grid, as a valid recipe of one game: the `replicas` of the recipe are not used.

    Args:
        base: plain values of the recipe that the grid changes.
        grid: what it changes.
        what: name of the recipe in errors.

    Raises:
        UsageError: the recipe of a cell is invalid (names the first such cell and all of its mistakes), the grid is
            too large, or it sets `replicas`.
    """
    if "replicas" in grid:
        raise UsageError("replicas: a sweep chooses how many games it packs", "vary the seed instead: seed=0..9")
    count = math.prod(len(values) for values in grid.values())
    if count > MOST_CELLS:
        raise UsageError(f"the grid has {count:,} cells, more than {MOST_CELLS:,}", "sweep a part of it")
    found = list[Cell]()
    for index, values in enumerate(itertools.product(*grid.values())):
        settings = dict(zip(grid, values, strict=True))
        varied = {key: value for key, value in settings.items() if len(grid[key]) > 1}
        try:
            found.append(Cell(index, varied, _recipe(base, settings, what)))
        except UsageError as error:
            raise UsageError(f"cell {index} ({assignments(varied)}): {error.cause}", error.remedy) from None
    return found


def assignments(settings: Mapping[str, Any]) -> str:
    """Settings as on the command line: `objective=log seed=0`."""
    return " ".join(f"{key}={table_value(value)}" for key, value in settings.items()) or "the only cell"


def table_value(value: Any) -> Any:
    """A value as it is in a table: numbers, booleans and strings unchanged, lists and mappings as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) or value is None else value


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
    values.pop("replicas", None)
    return validated(with_keys(values, copy.deepcopy(dict(settings))), what)


def packs(cells: Sequence[Cell], workers: int) -> list[Pack]:
    """The runs that train all cells, in the order of their first cells.

    Args:
        cells: of a grid.
        workers: runs at a time. Packs are as large as they can be while every worker has one.
    """
    groups, wanted = list(_groups(cells)), min(workers, len(cells))
    sizes = range(MOST_PACKED, 0, -1)
    size = next(size for size in sizes if sum(math.ceil(len(group) / size) for group in groups) >= wanted)
    made = [pack for group in groups for pack in _divided(group, math.ceil(len(group) / size))]
    return sorted(made, key=lambda pack: min(cell.index for cell in pack.cells))


def _groups(cells: Sequence[Cell]) -> Iterator[list[Cell]]:
    """Cells that may be packed: with consecutive seeds, and equal in everything else."""
    alike: dict[object, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: cell.recipe.seed):
        alike.setdefault(_all_but_seed(cell), []).append(cell)
    for group in alike.values():
        for _, consecutive in itertools.groupby(enumerate(group), lambda item: item[1].recipe.seed - item[0]):
            yield [cell for _, cell in consecutive]


def _all_but_seed(cell: Cell) -> object:
    """What packed cells have in common. A cell that cannot be packed has nothing in common with others."""
    recipe = cell.recipe
    if not isinstance(recipe, Recipe):
        return cell.index
    pieces = recipe.generator, recipe.discriminator, recipe.optimizers.generator, recipe.optimizers.discriminator
    if not all(each.packs for each in pieces):
        return cell.index
    return recipe.model_copy(update={"seed": 0}).model_dump_json()


def _divided(cells: Sequence[Cell], parts: int) -> Iterator[Pack]:
    """So many packs of nearly equal length."""
    bounds = [len(cells) * part // parts for part in range(parts + 1)]
    for low, high in itertools.pairwise(bounds):
        recipe = cells[low].recipe
        packed = recipe if high - low == 1 else recipe.model_copy(update={"replicas": high - low})
        yield Pack(packed, tuple(cells[low:high]))
