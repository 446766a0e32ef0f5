"""The games of several runs in groups that share settings: a line of a chart each, a row of a table each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparring.core.errors import UsageError
from sparring.core.records import nearest
from sparring.report.comparison import axes, map_settings, settings_of
from sparring.report.format import NONE, plain
from sparring.report.read import RunRecord, Series


@dataclass(frozen=True)
class Game:
    """One game or classifier of a run.

    Args:
        run: that it belongs to.
        index: its place in the run.
        others: its values of the keys that differ within groups.
    """

    run: RunRecord
    index: int
    others: tuple[tuple[str, Any], ...] = ()

    @property
    def pair(self) -> tuple[int, tuple[tuple[str, Any], ...]]:
        """What a game of another group must share to be compared with this one: the seed, and `others`."""
        return self.run.recipe.seeds[self.index], self.others

    def series(self, name: str) -> Series | None:
        """A number of this game over rounds, `(n, 1)`, where it has a value; None if it never had one."""
        series = self.run.series(name)
        if series is None:
            return None
        known = np.isfinite(series.values[:, self.index])
        return Series(series.steps[known], series.values[known, self.index, None]) if known.any() else None

    @property
    def title(self) -> str:
        """Its seed, and `others`."""
        return ", ".join([f"seed {self.pair[0]}", *(f"{key} {plain(value)}" for key, value in self.others)])


@dataclass(frozen=True)
class Group:
    """Games that share these settings."""

    settings: Mapping[str, Any]
    games: tuple[Game, ...]

    @property
    def label(self) -> str:
        """The settings in a legend: words alone, numbers with their key."""
        return ", ".join(_word(key, value, list(self.settings)) for key, value in self.settings.items()) or "all games"


def group_games(runs: Sequence[RunRecord], keys: Sequence[str] = ()) -> list[Group]:
    """The games of all runs, in groups.

    Args:
        runs: to compare.
        keys: dotted keys of the recipe that games of a group share; by default all in which the recipes differ, but for
            the seed.

    Raises:
        UsageError: no recipe has such a key.
    """
    settings = _chosen(runs, keys) if keys else map_settings(runs)
    labels = [tuple(each.items()) for each in settings]
    columns = axes(runs)
    within = [key for key, values in columns.items() if len(set(zip(labels, values, strict=True))) > len(set(labels))]
    games: dict[tuple[tuple[str, Any], ...], list[Game]] = {}
    for place, (run, label) in enumerate(zip(runs, labels, strict=True)):
        others = tuple((key, columns[key][place]) for key in within)
        games.setdefault(label, []).extend(Game(run, index, others) for index in range(run.recipe.replicas))
    return [Group(dict(label), tuple(members)) for label, members in games.items()]


def _chosen(runs: Sequence[RunRecord], keys: Sequence[str]) -> list[dict[str, Any]]:
    """The values of these keys in every run."""
    flat = [settings_of(run) for run in runs]
    known = sorted({key for each in flat for key in each})
    wanted = [key.removesuffix(".name") for key in keys]
    for key in wanted:
        if key not in known:
            near = nearest(key, known)
            hint = f"did you mean {near}?" if near else "`sparring show RECIPE` lists the keys of a recipe"
            raise UsageError(f"--group-by {key}: no key of these recipes", hint)
    return [{key: each.get(key, NONE) for key in wanted} for each in flat]


def _word(key: str, value: Any, keys: Sequence[str]) -> str:
    last = key.rpartition(".")[2]
    is_unique = sum(each.rpartition(".")[2] == last for each in keys) == 1
    return value if isinstance(value, str) and value != NONE else f"{last if is_unique else key} {plain(value)}"
