"""How several runs differ: the keys of their recipes that are not the same, and which of those span a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sparring.recipes import TRAINS_NOTHING
from sparring.report.format import NONE, flatten
from sparring.report.read import RunRecord, Successes

_NOT_AXES = frozenset({"seed", "replicas", "log_every", "sample_every", "checkpoint_every", "evaluate_every"})
_FIRST = (
    "classifier", "attack", "fakes", "start", "objective", "feedback", "lipschitz", "regime", "discriminator",
    "generator", "data", "optimizers",
)  # fmt: skip
"""Parts of a recipe in the order in which their keys are shown; all others follow."""


def total(runs: Sequence[RunRecord]) -> Successes | None:
    """The successes of all runs together."""
    outcomes = [run.successes for run in runs if run.successes]
    whole = Successes(sum(each.wins for each in outcomes), sum(each.games for each in outcomes))
    return whole if outcomes else None


def differing(runs: Sequence[RunRecord]) -> dict[str, tuple[Any, ...]]:
    """The dotted keys in which the resolved recipes differ, each with its value in every run.

    `.name` of a piece is left out of its key. A key that only some recipes have, because a piece differs in its name,
    is no difference of its own.
    """
    flat = [settings_of(run) for run in runs]
    keys = sorted(dict.fromkeys(key for each in flat for key in each), key=_rank)
    columns = {key: tuple(each.get(key, NONE) for each in flat) for key in keys}
    return {key: values for key, values in columns.items() if _differs(key, columns)}


def axes(runs: Sequence[RunRecord]) -> dict[str, tuple[Any, ...]]:
    """The differing keys without seeds and intervals of the log, each with its value in every run."""
    return {key: values for key, values in differing(runs).items() if key not in _NOT_AXES}


def map_settings(runs: Sequence[RunRecord]) -> list[dict[str, Any]]:
    """The settings of every run on a map of successes: differing keys that do not follow from each other."""
    columns = axes(runs)
    keys = _independent(columns)
    return [{key: columns[key][index] for key in keys} for index in range(len(runs))]


def settings_of(run: RunRecord) -> dict[str, Any]:
    """The recipe of a run as dotted keys, but for what trains nothing; `.name` of a piece is left out of its key."""
    flat = flatten(run.recipe.model_dump(mode="json"))
    return {key.removesuffix(".name"): _hashable(value) for key, value in flat.items() if key not in TRAINS_NOTHING}


def _hashable(value: Any) -> Any:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else value


def _differs(key: str, columns: Mapping[str, tuple[Any, ...]]) -> bool:
    present = {value for value in columns[key] if value != NONE}
    if len(present) > 1 or NONE not in columns[key]:
        return len(present) > 1
    parts = key.split(".")
    outer = (".".join(parts[:length]) for length in range(1, len(parts)))
    return not any(len(set(columns.get(name, ()))) > 1 for name in outer)


def _independent(columns: Mapping[str, tuple[Any, ...]]) -> list[str]:
    """Keys that do not follow from earlier ones; first the key with most values of each part of the recipe."""
    parts: dict[str, list[str]] = {}
    for key in columns:
        parts.setdefault(key.split(".")[0], []).append(key)
    leading = [max(keys, key=lambda key: len(set(columns[key]))) for keys in parts.values()]
    free: list[str] = []
    for key in [*leading, *(key for key in columns if key not in leading)]:
        known = list(zip(*(columns[each] for each in free), strict=True)) or [()] * len(columns[key])
        if len(set(zip(known, columns[key], strict=True))) > len(set(known)):
            free.append(key)
    return free


def _rank(key: str) -> int:
    part = key.split(".")[0]
    return _FIRST.index(part) if part in _FIRST else len(_FIRST)
