"""Time to a level: rounds, images and seconds until a measure first reaches a value, and their ratios between groups.

    d_i   = log(t_i of group A / t_i of group B)        for every pair i of games with the same seed that both got there
    ratio = exp(mean of d_i),  95 % interval exp(mean of d_i -+ t s / sqrt(n))        Student's t with n - 1 degrees

A game that never got there has no time. It is in no mean and in no ratio, and is named beside them.

Source: Rob-GAN, section 4.2 and figure 5: "3 to 7 times" fewer iterations than SN-GAN to the same inception score.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from sparring.core.errors import UsageError
from sparring.core.intervals import student
from sparring.report.format import counted, number
from sparring.report.groups import Game, Group, group_games
from sparring.report.horizontal import Unit, positions
from sparring.report.measures import LoggedMeasure, find_measures
from sparring.report.read import RunRecord, find_runs, names_of, read_run

TIMES: tuple[Unit, ...] = ("rounds", "images", "seconds")
Times = Mapping[str, float]
"""The time at which a game got there, in every unit that its log has."""
Arrivals = dict[tuple[Any, ...], tuple[Game, Times | None]]
"""Games and their times by what pairs them; None for a game that never got there."""


@dataclass(frozen=True)
class Mean:
    """A mean, or a ratio, with its 95 % interval; None if all values are equal, or there is one."""

    value: float
    interval: tuple[float, float] | None

    @property
    def shown(self) -> str:
        """As text."""
        return f"{number(self.value)} {self.bounds}".strip()

    @property
    def bounds(self) -> str:
        """The interval as text; nothing without one."""
        return f"[{number(self.interval[0])}, {number(self.interval[1])}]" if self.interval else ""


@dataclass(frozen=True)
class TimeOfGroup:
    """When the games of a group got there.

    Args:
        label, settings: of the group.
        games: how many there are.
        reached: how many got there.
        never: the others, by title, with the rounds after which they had not.
        means: over those that got there, by unit.
    """

    label: str
    settings: Mapping[str, Any]
    games: int
    reached: int
    never: tuple[str, ...]
    means: Mapping[str, Mean]


@dataclass(frozen=True)
class RatioOfGroups:
    """How many times as long one group took as another, over pairs of games with the same seed.

    Args:
        first, second: labels; the time of the first is over that of the second.
        pairs: how many pairs both got there.
        only_first, only_second, neither: the other pairs, by title.
        unpaired: games without a partner in the other group, by title.
        ratios: geometric means over the pairs, by unit.
    """

    first: str
    second: str
    pairs: int
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    neither: tuple[str, ...]
    unpaired: tuple[str, ...]
    ratios: Mapping[str, Mean]

    @property
    def left_out(self) -> tuple[str, ...]:
        """Why games are in no pair, as text."""
        reasons = {
            f"only {self.first} got there": self.only_first,
            f"only {self.second} got there": self.only_second,
            "neither got there": self.neither,
            "no partner": self.unpaired,
        }
        return tuple(f"{reason}: {', '.join(titles)}" for reason, titles in reasons.items() if titles)


@dataclass(frozen=True)
class LevelTable:
    """Times to one level."""

    title: str
    measure: str
    level: float
    groups: tuple[TimeOfGroup, ...]
    ratios: tuple[RatioOfGroups, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def times_to_levels(path: Path, levels: Sequence[str], group_by: Sequence[str] = ()) -> list[LevelTable]:
    """Times to levels over all runs in a folder.

    Args:
        path: a run, or a folder of runs.
        levels: `MEASURE=VALUE` each.
        group_by: dotted keys of the recipe that games of a group share; by default all that differ, but for the seed.

    Raises:
        UsageError: there are no runs, or they have no such measure or key; or the measure has no better direction.
        CorruptInput: a run cannot be read.
    """
    folders = find_runs(path)
    return level_tables([read_run(*each) for each in zip(folders, names_of(folders), strict=True)], levels, group_by)


def level_tables(runs: Sequence[RunRecord], levels: Sequence[str], group_by: Sequence[str] = ()) -> list[LevelTable]:
    """The same for runs that are read; one table for each attack that a measure was taken under."""
    groups = group_games(runs, group_by)
    parsed = [(word, *_parsed(word)) for word in levels]
    return [
        _table(groups, measure, value, word) for word, name, value in parsed for measure in find_measures(runs, [name])
    ]


def _parsed(word: str) -> tuple[str, float]:
    name, _, text = word.partition("=")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not name or not math.isfinite(value):
        raise UsageError(f"--level {word}: not MEASURE=NUMBER", "write, for example, --level frechet_distance=30")
    return name, value


def _table(groups: Sequence[Group], measure: LoggedMeasure, level: float, word: str) -> LevelTable:
    info = measure.info
    if not info.better:
        raise UsageError(f"--level {word}: {info.name} has no better direction", "name a measure that has one")
    measured = [(group, found) for group in groups if (found := _arrivals(group, measure, level))]
    sign = "at least" if info.better == "higher" else "at most"
    return LevelTable(
        title=f"{info.title} {sign} {info.short(level)}",
        measure=info.name,
        level=level,
        groups=tuple(_of_group(*each) for each in measured),
        ratios=tuple(_ratio(*one, *other) for one, other in combinations(measured, 2)),
    )


def _arrivals(group: Group, measure: LoggedMeasure, level: float) -> Arrivals:
    """When every game of a group that has a measure got to a level."""
    found: Arrivals = {}
    for game in group.games:
        if measure.is_of(game.run):
            if game.pair in found:
                cause = f"{group.label}, {game.title}: both {found[game.pair][0].run.name} and {game.run.name}"
                raise UsageError(cause, "leave one of them out: the same game twice is no second seed")
            found[game.pair] = game, _times(game, measure, level)
    return found


def _times(game: Game, measure: LoggedMeasure, level: float) -> Times | None:
    """The times of the first measurement that is at least as good as a level; None if there is none."""
    series = game.series(measure.info.name)
    if series is None:
        return None
    values = series.values[:, 0]
    places = np.flatnonzero(values >= level if measure.info.better == "higher" else values <= level)
    if not len(places):
        return None
    first, units = series.steps[places[:1]], [unit for unit in TIMES if unit != "seconds" or game.run.has_seconds]
    return {unit: float(positions(game.run, first, unit)[0]) for unit in units}


def _of_group(group: Group, arrivals: Arrivals) -> TimeOfGroup:
    times = [each for _, each in arrivals.values() if each]
    late = [game for game, each in arrivals.values() if not each]
    return TimeOfGroup(
        label=group.label,
        settings=group.settings,
        games=len(arrivals),
        reached=len(times),
        never=tuple(f"{game.title} ({_reached(game)})" for game in late),
        means={unit: _mean([each[unit] for each in times]) for unit in _shared(times)},
    )


def _ratio(first: Group, one: Arrivals, second: Group, other: Arrivals) -> RatioOfGroups:
    both = [(one[pair], other[pair]) for pair in one if pair in other]
    times = [(a, b) for (_, a), (_, b) in both if a and b]
    alone = [game.title for pair, (game, _) in (one | other).items() if pair not in one or pair not in other]
    return RatioOfGroups(
        first=first.label,
        second=second.label,
        pairs=len(times),
        only_first=tuple(game.title for (game, a), (_, b) in both if a and not b),
        only_second=tuple(game.title for (game, a), (_, b) in both if b and not a),
        neither=tuple(game.title for (game, a), (_, b) in both if not a and not b),
        unpaired=tuple(alone),
        ratios={unit: _geometric([a[unit] / b[unit] for a, b in times]) for unit in _shared(sum(times, ()))},
    )


def _shared(times: Sequence[Times]) -> list[Unit]:
    """The units that all times have; none without times."""
    return [unit for unit in TIMES if times and all(unit in each for each in times)]


def _mean(values: Sequence[float]) -> Mean:
    if len(set(values)) < 2:
        return Mean(fmean(values), None)
    low, high = student(values)
    return Mean(fmean(values), (max(low, 0.0), high))


def _geometric(ratios: Sequence[float]) -> Mean:
    logs = [math.log(ratio) for ratio in ratios]
    if len(set(logs)) < 2:
        return Mean(math.exp(fmean(logs)), None)
    low, high = student(logs)
    return Mean(math.exp(fmean(logs)), (math.exp(low), math.exp(high)))


def _reached(game: Game) -> str:
    """How far a game came that did not get there."""
    diverged = game.run.divergences.get(game.run.titles[game.index])
    return f"diverged at round {diverged:,}" if diverged else f"not in {counted(game.run.rounds, 'round')}"
