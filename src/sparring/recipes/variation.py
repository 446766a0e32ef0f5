"""Numbers that differ between packed games: which may, and a record with them set."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sparring.core.records import MAY_DIFFER, Problem, Record, nearest

Values = Mapping[str, Sequence[Any]]
"""Dotted keys, each with a value for every game."""
SEED = "seed"
"""May differ too: it says which game is played, and is no number of any formula."""


def packable(record: Any, path: str = "") -> Iterator[str]:
    """The dotted keys of all numbers of a record, or of a tuple of records, that are declared `PerGame`."""
    for key, value in _parts(record):
        if isinstance(record, Record) and MAY_DIFFER in type(record).model_fields[key].metadata:
            yield f"{path}{key}"
        else:
            yield from packable(value, f"{path}{key}.")


def all_keys(record: Any, path: str = "") -> Iterator[str]:
    """Every dotted key of a record."""
    for key, value in _parts(record):
        yield f"{path}{key}"
        yield from all_keys(value, f"{path}{key}.")


def value_at(record: Any, key: str) -> Any:
    """What stands at a dotted key."""
    for part in key.split("."):
        record = dict(_parts(record))[part]
    return record


def holding(record: Any, key: str, value: Any) -> Any:
    """The record with something else at a dotted key, which is not validated."""
    if not key:
        return value
    first, _, rest = key.partition(".")
    parts = dict(_parts(record))
    parts[first] = holding(parts[first], rest, value)
    return record.model_copy(update={first: parts[first]}) if isinstance(record, Record) else tuple(parts.values())


def set_in(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key of plain values in place, list items by their index."""
    *path, last = key.split(".")
    held: Any = values
    for part in path:
        held = held[int(part)] if isinstance(held, list) else held[part]
    held[last] = value


def of_game(values: Mapping[str, Any], vary: Values, game: int) -> dict[str, Any]:
    """The plain values of one game's own recipe."""
    own = copy.deepcopy({key: value for key, value in values.items() if key != "vary"})
    own |= {"replicas": 1, SEED: own[SEED] + game}
    for key, each in vary.items():
        set_in(own, key, each[game])
    return own


def mistakes(record: Record, vary: Values, games: int) -> Iterator[Problem]:
    """What is wrong with the keys, and with how many values they have.

    Args:
        record: whose numbers differ.
        vary: the values.
        games: how many games there are.
    """
    known = (SEED, *packable(record))
    for key, each in vary.items():
        path, value = ("vary", key), f"{len(each)} values"
        if key not in known and key in all_keys(record):
            message = "cannot differ between packed games"
            yield Problem(path=path, value=value, message=message, allowed=known)
        elif key not in known:
            yield Problem(path=path, value=value, message="unknown key", nearest=nearest(key, known), allowed=known)
        elif games == 1 or len(each) != games:
            wanted = "there is one game, replicas = 1" if games == 1 else f"replicas = {games}"
            yield Problem(path=path, value=value, message=f"should be a value for each of several games, and {wanted}")


def of_one(problem: Problem, game: int) -> Problem:
    """A problem of one game's own recipe, as one of the values for all of them."""
    told = problem.model_copy(update={"message": f"{problem.message} (game {game}, counted from 0)"})
    return told.within(["vary"])


def grouped(notes: Sequence[Sequence[str]], name: Callable[[int], str]) -> list[str]:
    """What is to be said of games, each note once, with the games that it is said of unless it is all of them.

    Args:
        notes: of every game.
        name: of a game.
    """
    told: list[str] = []
    for note in dict.fromkeys(note for each in notes for note in each):
        games = [game for game, each in enumerate(notes) if note in each]
        told.append(note if len(games) == len(notes) else f"{note} ({'; '.join(map(name, games))})")
    return told


def _parts(record: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(record, Record):
        yield from ((key, getattr(record, key)) for key in type(record).model_fields)
    elif isinstance(record, tuple):
        yield from ((str(index), item) for index, item in enumerate(record))
