"""Which cells of a grid play together: games that differ in nothing but numbers, packed into one run.

This is the whole rule; what plays a sweep asks for nothing but the packs.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

from sparring.recipes import SEED, AnyRecipe, Recipe, packable, set_in, value_at
from sparring.sweeps.grid import Cell

MOST_PACKED = 64
"""Games that one process packs: beyond this a core gains nothing more by it."""


@dataclass(frozen=True)
class Pack:
    """Cells that one run plays.

    Args:
        recipe: of the run.
        cells: by game of the run.
    """

    recipe: AnyRecipe
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """Of its folder: the first cell's place, and how many play with it."""
        first = f"{min(cell.index for cell in self.cells):04d}"
        return first if len(self.cells) == 1 else f"{first}x{len(self.cells)}"

    def alone(self) -> list[Pack]:
        """Every cell as a run of its own."""
        return [Pack(cell.recipe, (cell,)) for cell in self.cells]


def packs(cells: Sequence[Cell], workers: int) -> list[Pack]:
    """The runs that play all cells, in the order of their first cells.

    Args:
        cells: of a grid.
        workers: how many there will be: with fewer groups of like cells than that, every group is shared evenly among
            several.
    """
    groups: dict[object, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(_alike(cell), []).append(cell)
    shares = math.ceil(workers / len(groups)) if groups else 1
    found = [
        _pack(part)
        for group in groups.values()
        for part in _parts(group, max(shares, math.ceil(len(group) / MOST_PACKED)))
    ]
    return sorted(found, key=lambda pack: min(cell.index for cell in pack.cells))


def _alike(cell: Cell) -> object:
    """What cells of one pack share; of a game that cannot be packed, nothing."""
    recipe = cell.recipe
    if not isinstance(recipe, Recipe) or not (recipe.generator.packs and recipe.discriminator.packs):
        return cell.index
    values = recipe.model_dump(mode="json")
    for key in (SEED, *packable(recipe)):
        set_in(values, key, value_at(recipe, key) is None)
    return json.dumps(values)


def _parts(cells: Sequence[Cell], count: int) -> list[Sequence[Cell]]:
    """At most `count` parts of nearly equal length."""
    count = min(count, len(cells))
    bounds = [len(cells) * part // count for part in range(count + 1)]
    return [cells[low:high] for low, high in itertools.pairwise(bounds)]


def _pack(cells: Sequence[Cell]) -> Pack:
    recipe = cells[0].recipe
    if len(cells) == 1 or not isinstance(recipe, Recipe):
        return Pack(recipe, tuple(cells))
    values = {key: tuple(value_at(cell.recipe, key) for cell in cells) for key in (SEED, *packable(recipe))}
    vary = {key: each for key, each in values.items() if key != SEED and len(set(each)) > 1}
    if values[SEED] != tuple(range(recipe.seed, recipe.seed + len(cells))):  # which replicas have without a word
        vary[SEED] = values[SEED]
    return Pack(recipe.model_copy(update={"replicas": len(cells), "vary": vary}), tuple(cells))
