"""How runs differ: the keys of their recipes that are not the same, and success over two of those at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from operator import add
from typing import Any

from sparring.report.format import flatten
from sparring.report.read import Outcome, Run

ABSENT = "–"
"""A key that a recipe does not have."""

_NOT_SETTINGS = frozenset({"description"})
_NOT_AXES = frozenset({"seed", "replicas", "log_every", "sample_every", "checkpoint_every", "evaluate_every"})
_FIRST = (
    "classifier",
    "attack",
    "fakes",
    "start",
    "objective",
    "feedback",
    "lipschitz",
    "regime",
    "discriminator",
    "generator",
    "data",
    "optimizers",
)


@dataclass(frozen=True)
class Cell:
    """One cell of a success map; `outcome` is None where nothing was run or measured."""

    outcome: Outcome | None
    runs: int


@dataclass(frozen=True)
class Map:
    """The share of successful games over two keys, for one value of all others.

    Args:
        given: the other differing keys with their values.
        row_key, column_key: what varies; empty where nothing does.
        rows, columns: their values.
        cells: by row.
    """

    given: tuple[tuple[str, Any], ...]
    row_key: str
    column_key: str
    rows: tuple[Any, ...]
    columns: tuple[Any, ...]
    cells: tuple[tuple[Cell, ...], ...]


Setting = dict[str, Any]


def differing(runs: Sequence[Run]) -> dict[str, tuple[Any, ...]]:
    """The dotted keys in which the resolved recipes differ, each with its value in every run.

    `.name` of a piece is left out of its key, and a key that exists only because a piece has another name is not a
    difference of its own.
    """
    flat = [_setting(run) for run in runs]
    keys = sorted(dict.fromkeys(key for each in flat for key in each), key=_rank)
    values = {key: tuple(each.get(key, ABSENT) for each in flat) for key in keys}
    return {key: found for key, found in values.items() if _differs(key, values)}


def success_maps(runs: Sequence[Run]) -> list[Map]:
    """Success over the two most telling differing keys, one map for each combination of the others."""
    keys = {key: found for key, found in differing(runs).items() if key not in _NOT_AXES}
    axes = _axes(keys)
    if not axes:
        return []
    row_key, column_key = axes[0], axes[1] if len(axes) > 1 else ""
    others = _independent(keys, axes[:2])
    rows, columns = _ordered(keys[row_key]), _ordered(keys[column_key]) if column_key else ("",)
    settings = [{key: found[index] for key, found in keys.items()} | {"": ""} for index in range(len(runs))]
    maps = []
    for given in sorted(
        {_given(setting, others) for setting in settings}, key=lambda pairs: [_order(v) for _, v in pairs]
    ):
        here = [(setting, run) for setting, run in zip(settings, runs, strict=True) if _given(setting, others) == given]
        cells = {
            (row, column): [run for setting, run in here if setting[row_key] == row and setting[column_key] == column]
            for row, column in product(rows, columns)
        }
        table = tuple(tuple(_cell(cells[row, column]) for column in columns) for row in rows)
        maps.append(Map(given, row_key, column_key, rows, columns, table))
    return maps


def total(runs: Sequence[Run]) -> Outcome | None:
    """The successes of all runs together."""
    outcomes = [run.outcome for run in runs if run.outcome]
    return reduce(add, outcomes) if outcomes else None


def _setting(run: Run) -> Setting:
    resolved = {key: value for key, value in run.resolved.items() if key not in _NOT_SETTINGS}
    flat = flatten(resolved)
    return {key.removesuffix(".name"): _hashable(value) for key, value in flat.items()}


def _hashable(value: Any) -> Any:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else value


def _differs(key: str, values: dict[str, tuple[Any, ...]]) -> bool:
    found = values[key]
    present = {value for value in found if value != ABSENT}
    if len(present) > 1:
        return True
    if ABSENT not in found:
        return False
    outer = key.split(".")
    above = (".".join(outer[:length]) for length in range(1, len(outer)))
    return not any(len(set(values.get(name, ()))) > 1 for name in above)


def _axes(keys: dict[str, tuple[Any, ...]]) -> list[str]:
    """Differing keys, one a part of the recipe first, the richest of each part."""
    parts: dict[str, list[str]] = {}
    for key in keys:
        parts.setdefault(key.split(".")[0], []).append(key)
    leading = [max(group, key=lambda key: len(set(keys[key]))) for group in parts.values()]
    chosen: list[str] = []
    for key in [*leading, *(key for key in keys if key not in leading)]:
        if key in _independent(keys, chosen):
            chosen.append(key)
    return chosen


def _independent(keys: dict[str, tuple[Any, ...]], given: Sequence[str]) -> list[str]:
    """The keys that those given do not settle, without those that settle each other."""
    free: list[str] = []
    for key, found in keys.items():
        if key in given:
            continue
        known = list(zip(*(keys[other] for other in [*given, *free]), strict=True)) or [()] * len(found)
        if len(set(zip(known, found, strict=True))) > len(set(known)):
            free.append(key)
    return free


def _given(setting: Setting, keys: Sequence[str]) -> tuple[tuple[str, Any], ...]:
    return tuple((key, setting[key]) for key in keys)


def _ordered(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(sorted(set(values), key=_order))


def _order(value: Any) -> tuple[int, float, str]:
    """Absent first, then numbers by size, then words."""
    if value == ABSENT:
        return (0, 0.0, "")
    return (1, float(value), "") if isinstance(value, int | float) else (2, 0.0, str(value))


def _rank(key: str) -> int:
    part = key.split(".")[0]
    return _FIRST.index(part) if part in _FIRST else len(_FIRST)


def _cell(runs: Sequence[Run]) -> Cell:
    return Cell(total(runs), len(runs))
