"""What papers report of several games, runs and epochs: all of them, the best one, the mean of the last epochs.

Source: AS-GAN, figure 3 (the best of three runs; the mean of the last 20 epochs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from sparring.data import Facts
from sparring.recipes import Recipe
from sparring.runs.folder import RunFolder
from sparring.runs.schema import MetricValue

_BEST = {"frechet_distance": min, "inception_score": max}
"""What is the best of several numbers."""


def listed(games: Sequence[Mapping[str, MetricValue]]) -> dict[str, MetricValue]:
    """The numbers of one game as they are; those of several as one list for each name, in order.

    Args:
        games: one number for each name.
    """
    if len(games) == 1:
        return dict(games[0])
    names = dict.fromkeys(name for game in games for name in game)
    return {name: _as_one([game.get(name, MetricValue(value=None)) for game in games]) for name in names}


def best(metrics: Mapping[str, MetricValue], runs: int) -> dict[str, MetricValue]:
    """The best of the listed numbers, `..._best`.

    Args:
        metrics: of all games.
        runs: how many the paper takes the best of.
    """
    found = {}
    for name in [name for name in _BEST if name in metrics]:
        known = [each.value for each in metrics[name].estimates if each.value is not None]
        text = f"the best of {len(known)}, at the newest checkpoint; the paper's is the best of {runs}"
        found[f"{name}_best"] = MetricValue(value=_BEST[name](known), protocol=f"{text}; {metrics[name].protocol}")
    return found


def last_epochs(run: RunFolder, recipe: Recipe, facts: Facts, epochs: int) -> list[dict[str, MetricValue]]:
    """The means of what the training measured in its last epochs, `..._last_epochs`, for every game.

    Args:
        run: with the log.
        recipe: of the run; an epoch is as many real images as the training split has.
        facts: of its data.
        epochs: at the end of the log.

    Returns:
        No numbers where the log has no measurement in these epochs.
    """
    rows = run.rows()
    last, rounds = rows[-1]["step"] if rows else 0, epochs * facts.count / recipe.images_a_round
    within = [row for row in rows if last - rounds < row["step"] <= last]
    summary = run.summary()
    games: list[dict[str, MetricValue]] = [{} for _ in recipe.seeds]
    for name in _BEST:
        measured = [row for row in within if name in row]
        how = summary.metrics[name].protocol if summary and name in summary.metrics else "as in the log"
        text = (
            f"mean of {len(measured)} measurements of the log in the last {epochs} epochs (rounds "
            f"{max(0, last - rounds):,.0f} to {last:,}); each: {how}"
        )
        for index, game in enumerate(games):
            known = [value for row in measured if (value := _of_game(row[name], index)) is not None]
            if known:
                game[f"{name}_last_epochs"] = MetricValue(value=fmean(known), protocol=text)
    return games


def _of_game(value: Any, index: int) -> float | None:
    number: float | None = value[index] if isinstance(value, list) else value
    return number


def _as_one(values: Sequence[MetricValue]) -> MetricValue:
    estimates = [estimate for value in values for estimate in value.estimates]
    return MetricValue(
        value=tuple(estimate.value for estimate in estimates),
        interval=tuple(estimate.interval for estimate in estimates),
        protocol=" | ".join(dict.fromkeys(value.protocol for value in values if value.protocol)),
    )
