"""The cells of a claim: every combination of labels and every seed, as a valid recipe or a computation.

A cell has a key: the SHA-256 of its recipe without seed, packing and description, and without keys that have their
default. Cells of two claims with one key are one cell. Where a cell starts from the run of another one, the key of
that cell stands in the place of the run folder.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from sparring.claims.claim_schema import CellGroup, Scale
from sparring.claims.computations import Computation
from sparring.claims.values import Labels
from sparring.core.errors import UsageError
from sparring.core.pieces import Piece
from sparring.recipes import TRAINS_NOTHING, AnyRecipe, set_key, unvalidated, validated, with_keys
from sparring.sweeps.grid import Cell, Pack, packs, parse_grid

PACKED = 10
"""Games in one run, at most."""
RUN = "cell:"
"""Before the key of a cell, in the place of its run folder."""
_NOT_IN_KEY = TRAINS_NOTHING | {"seed", "replicas"}


@dataclass(frozen=True)
class ClaimCell:
    """One point of a claim's grid, for all of its seeds.

    Args:
        labels: by axis.
        source: the recipe of one game with the first seed, or the computation.
        seeds: of its games.
        key: equal for equal cells.
        parent: the cell whose runs it starts from.
        parent_keys: dotted keys that take the run folder of the parent.
        name: of the recipe or the computation.
    """

    labels: Labels
    source: AnyRecipe | Computation
    seeds: tuple[int, ...]
    key: str
    parent: ClaimCell | None = None
    parent_keys: tuple[str, ...] = ()
    name: str = ""

    @property
    def line(self) -> tuple[ClaimCell, ...]:
        """The cells that it starts from, the first of all first, and itself."""
        return (*(self.parent.line if self.parent else ()), self)


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds in a text such as `40..49` or `0,2,5`.

    Raises:
        UsageError: it is neither, or a seed is negative.
    """
    seeds = parse_grid([f"seed={text}"])["seed"]
    if not all(isinstance(seed, int) and seed >= 0 for seed in seeds):
        raise UsageError(f"seeds {text!r}: whole numbers from 0 on are meant", "write, for example, 0..9")
    return tuple(seeds)


def cells_of_scale(scale: Scale, what: str, seeds: tuple[int, ...] = ()) -> tuple[ClaimCell, ...]:
    """All cells, those that others start from before them.

    Args:
        scale: of a claim.
        what: name of the claim in errors.
        seeds: in place of those of the scale.

    Raises:
        UsageError: a recipe is invalid, two cells have the same labels, or a group starts from none or several cells
            of another group.
    """
    seeds = seeds or parse_seeds(scale.seeds)
    found: list[ClaimCell] = []
    groups: dict[str, list[ClaimCell]] = {}
    for group in scale.cells:
        cells = [_cell(group, labels, overrides, groups, seeds, what) for labels, overrides in _grid(group)]
        groups[group.name] = cells
        found += cells
    labels = [tuple((axis, str(label)) for axis, label in sorted(cell.labels.items())) for cell in found]
    if twice := [each for each in labels if labels.count(each) > 1]:
        cause = f"{what}: two cells have the labels {', '.join(' '.join(pair) for pair in twice[0]) or '(none)'}"
        raise UsageError(cause, "name the groups of cells")
    return tuple(found)


def _grid(group: CellGroup) -> Iterator[tuple[Labels, dict[str, Any]]]:
    """Labels and overrides of every combination."""
    for combination in itertools.product(*(axis.overrides.items() for axis in group.axes.values())):
        labels = {name: label for name, (label, _) in zip(group.axes, combination, strict=True)}
        overrides: dict[str, Any] = dict(group.set)
        for _, changes in combination:
            overrides |= changes
        yield ({"cells": group.name} if group.name else {}) | labels, overrides


def _cell(
    group: CellGroup,
    labels: Labels,
    overrides: dict[str, Any],
    groups: dict[str, list[ClaimCell]],
    seeds: tuple[int, ...],
    what: str,
) -> ClaimCell:
    where = f"{what} ({', '.join(f'{axis} {label}' for axis, label in labels.items()) or 'its only cell'})"
    if group.compute is not None:
        computation = Computation.validated(
            group.compute.model_dump(mode="json") | overrides, where, "see docs/claims.md"
        )
        return ClaimCell(labels, computation, seeds, key_of(computation), name=computation.name)
    name = overrides.pop("recipe", group.recipe)
    parent = None if group.start_from is None else _parent(group, labels, groups, where)
    values = copy.deepcopy(unvalidated(name))
    values.pop("replicas", None)
    values["seed"] = seeds[0]
    values = with_keys(values, copy.deepcopy(overrides))
    keys = group.start_from.keys if group.start_from else ()
    for key in keys:
        assert parent is not None
        set_key(values, key, f"{RUN}{parent.key}")
    recipe = validated(values, where)
    return ClaimCell(labels, recipe, seeds, key_of(recipe), parent, keys, name)


def packs_of(cell: ClaimCell, seeds: Sequence[int], recipe_of: Callable[[int], AnyRecipe]) -> Iterator[Pack]:
    """The runs that train seeds of a cell, ten consecutive ones packed where the networks allow it.

    How games are packed changes their numbers in the last digits, so it depends on nothing but the seeds.

    Args:
        cell: a training.
        seeds: ascending.
        recipe_of: the recipe of one game.
    """
    for first in range(0, len(seeds), PACKED):
        chunk = seeds[first : first + PACKED]
        yield from packs([Cell(seed, dict(cell.labels), recipe_of(seed)) for seed in chunk], workers=1)


def started_from(cell: ClaimCell, recipe: AnyRecipe, run: Path, game: int) -> AnyRecipe:
    """A recipe of a cell that starts from the run of another one.

    Args:
        cell: with a parent.
        recipe: of one of its games.
        run: the run folder in place of the parent's key.
        game: index of the game in that run.
    """
    values = recipe.model_dump(mode="json")
    for key in cell.parent_keys:
        set_key(values, key, str(run.resolve()))
        set_key(values, f"{key.rpartition('.')[0]}.game", game)
    return validated(values, cell.name)


def _parent(group: CellGroup, labels: Labels, groups: dict[str, list[ClaimCell]], where: str) -> ClaimCell:
    """The one cell of the other group that has the labels of this cell, on the axes that it has."""
    assert group.start_from is not None
    other = group.start_from.cells
    if other not in groups:
        raise UsageError(f"{where}: starts from {other!r}, and no group before it has this name", "name it first")
    matching = [
        cell
        for cell in groups[other]
        if all(labels.get(axis) == label for axis, label in cell.labels.items() if axis != "cells")
    ]
    if len(matching) != 1:
        raise UsageError(f"{where}: {len(matching)} cells of {other!r} have its labels", "give both the same axes")
    return matching[0]


def key_of(source: AnyRecipe | Computation) -> str:
    """The key of a recipe or a computation: equal for games that differ in nothing but the seed."""
    values = {name: value for name, value in reduced(source).items() if name not in _NOT_IN_KEY}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def reduced(record: BaseModel) -> dict[str, Any]:
    """A record as plain values without keys that have their default, at every depth. Pieces keep their names."""
    found: dict[str, Any] = {"name": record.name} if isinstance(record, Piece) else {}
    for name, field in type(record).model_fields.items():
        value = getattr(record, name)
        if field.is_required() or value != field.get_default(call_default_factory=True):
            found[name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return reduced(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value
