"""Which cells of a grid share a run: those that differ in nothing but consecutive seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sparring.recipes import AnyRecipe, Recipe
from sparring.sweeps.grid import Cell

MOST_PACKED = 64
"""Games in one run. Beyond this a core gains nothing by packing more."""


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

    def split(self) -> list[Pack]:
        """Every cell as a run of its own."""
        return [Pack(cell.recipe, (cell,)) for cell in self.cells]


def packs(cells: Sequence[Cell], workers: int) -> list[Pack]:
    """The runs that train all cells, in the order of their first cells.

    Args:
        cells: of a grid.
        workers: runs at a time. Packs are as large as they can be while every worker has one.
    """
    groups, wanted = list(_groups(cells)), min(workers, len(cells))
    sizes = range(MOST_PACKED, 0, -1)
    size = next(size for size in sizes if sum(math.ceil(len(group) / size) for group in groups) >= wanted)
    parts = [part for group in groups for part in _divided(group, math.ceil(len(group) / size))]
    return sorted(map(_pack, parts), key=lambda pack: min(cell.index for cell in pack.cells))


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
    if not isinstance(recipe, Recipe) or not (recipe.generator.packs and recipe.discriminator.packs):
        return cell.index
    return recipe.model_copy(update={"seed": 0}).model_dump_json()


def _divided(cells: Sequence[Cell], parts: int) -> list[Sequence[Cell]]:
    """So many parts of nearly equal length."""
    bounds = [len(cells) * part // parts for part in range(parts + 1)]
    return [cells[low:high] for low, high in itertools.pairwise(bounds)]


def _pack(cells: Sequence[Cell]) -> Pack:
    recipe = cells[0].recipe
    return Pack(recipe if len(cells) == 1 else recipe.model_copy(update={"replicas": len(cells)}), tuple(cells))
