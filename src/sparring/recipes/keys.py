"""The dotted keys of a recipe, and those that an unknown key may have meant: the same last part, elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sparring.core.records import UNKNOWN_KEY, Problem, nearest

_MOST = 3
"""Keys that are suggested at most."""


def dotted_keys(values: Mapping[str, Any]) -> Iterator[str]:
    """Every key of plain values, those of nested values with the path to them, outer ones first."""
    yield from values
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from (f"{key}.{inner}" for inner in dotted_keys(value))


def without(values: Mapping[str, Any], paths: Sequence[tuple[str, ...]]) -> dict[str, Any]:
    """Plain values without the keys at these paths."""
    kept = {key: value for key, value in values.items() if (key,) not in paths}
    for key, value in kept.items():
        if isinstance(value, Mapping):
            kept[key] = without(value, [path[1:] for path in paths if path[0] == key])
    return kept


def with_whole_keys(problem: Problem, given: Sequence[str], keys: Sequence[str]) -> Problem:
    """The problem of an unknown key with the dotted keys that may have been meant.

    Args:
        problem: of a recipe.
        given: the dotted keys that the recipe writes; they come before those that it leaves to defaults.
        keys: all dotted keys of the recipe.
    """
    if problem.message != UNKNOWN_KEY:
        return problem
    last = problem.path[-1]
    meant = _ending_in(last, given) or _ending_in(last, keys)
    if not meant and problem.nearest:
        meant = [".".join((*problem.path[:-1], problem.nearest))]
    if not meant:
        meant = _ending_in(nearest(last, map(_last, keys)), keys)
    return problem.model_copy(update={"nearest": " or ".join(meant[:_MOST])})


def _ending_in(last: str, keys: Sequence[str]) -> list[str]:
    return [key for key in keys if _last(key) == last]


def _last(key: str) -> str:
    return key.rpartition(".")[2]
