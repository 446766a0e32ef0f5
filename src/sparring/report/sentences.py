"""How runs ended, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sparring.report.comparison import map_settings, total
from sparring.report.format import NONE, counted, duration, number, plain, uncapitalised
from sparring.report.metric_info import MetricInfo, main_metrics, mean_final, metric_info, primary, target_count
from sparring.report.read import RunRecord, Series

_DISTANCE = metric_info("frechet_distance")
_NAMED = 3
"""Runs without a success, and games that diverged, are named up to this many."""
_LAST = 12
"""Rows of the log over which the pace of a run is taken."""


def verdict(run: RunRecord) -> str:
    """What happened in a run, as it said itself; where it did not, how it ended and which games diverged."""
    return run.verdict or " ".join(filter(None, (_end(run), divergence(run))))


def pace(run: RunRecord) -> str:
    """How fast a run trains, over its last rows, and how long it still takes; empty unless it is running."""
    rows = [row for row in run.rows[-_LAST:] if "seconds" in row]
    seconds = rows[-1]["seconds"] - rows[0]["seconds"] if rows else 0.0
    if run.status.kind != "running" or seconds <= 0:
        return ""
    rate = (rows[-1]["step"] - rows[0]["step"]) / seconds
    left = duration(round((run.recipe.steps - rows[-1]["step"]) / rate)) if rate else NONE
    return f"{number(rate)} rounds a second, about {left} left"


def divergence(run: RunRecord) -> str:
    """Which games of a run diverged, and when."""
    rounds = sorted(run.divergences.items(), key=lambda each: each[1])
    if not rounds:
        return ""
    if len(rounds) <= _NAMED:
        return "; ".join(f"{title} diverged at round {number(at)}" for title, at in rounds).capitalize() + "."
    (title, first), (_, last) = rounds[0], rounds[-1]
    return f"{counted(len(rounds), 'game')} diverged, from round {number(first)} ({title}) to round {number(last)}."


def _end(run: RunRecord) -> str:
    outcome, success = run.successes, run.series("success")
    if outcome is not None and success is not None:
        so_far = "" if run.status.kind == "complete" else "So far, "
        at = f" at round {number(float(success.steps[-1]))}."
        if outcome.games == 1:
            return f"{so_far}G has {'' if outcome.wins else 'not '}{_goal(run)}{at}"
        return f"{so_far}{outcome.wins:,} of {counted(outcome.games, 'game')} {_goal(run)}{at}"
    ends = [_ending(metric, series) for metric in main_metrics(run) if (series := run.series(metric.name))]
    if not ends:
        return "Nothing is measured yet." if run.rows else "Nothing is logged yet."
    text = "; ".join([ends[0], *map(uncapitalised, ends[1:])])
    return f"{text}{' (means over games)' if run.recipe.replicas > 1 else ''}."


def verdict_of_runs(runs: Sequence[RunRecord]) -> str:
    """How runs ended together: their successes, or the range of their main metric."""
    whole = total(runs)
    if whole is None:
        return _range(runs)
    judged = [run for run in runs if run.successes]
    goals = {_goal(run) for run in judged}
    goal = goals.pop() if len(goals) == 1 else "succeeded"
    return f"{whole.wins:,} of {counted(whole.games, 'game')} {goal}{_by_run(judged)}.{_extremes(runs)}"


def _extremes(runs: Sequence[RunRecord]) -> str:
    """The best and the worst distance of several runs, with their settings; nothing where not all have one."""
    ends = [(mean_final(run, _DISTANCE), run) for run in runs]
    known = sorted(((mean, index) for index, (mean, _) in enumerate(ends) if mean is not None))
    if len(known) < max(2, len(runs)):
        return ""
    settings = map_settings(runs)
    named = [_setting(each) for each in settings]
    (best, first), (worst, last) = known[0], known[-1]
    found = [f"{_DISTANCE.short(mean)} at {which}" for mean, which in ((best, "best"), (worst, "worst"))]
    with_settings = [f"{text} ({named[at] or runs[at].name})" for text, at in zip(found, (first, last), strict=True)]
    return f" {_DISTANCE.title} {', '.join(with_settings)}."


def heading(runs: Sequence[RunRecord]) -> str:
    """The heading of the column of main metrics: the metric's title if all runs share it."""
    titles = {metric.title for run in runs if (metric := primary(run))}
    is_packed = any(run.recipe.replicas > 1 for run in runs)
    return "mean at the end" if is_packed or len(titles) != 1 else f"{titles.pop()} at the end"


def _by_run(judged: Sequence[RunRecord]) -> str:
    """In how many of several runs every game, some games and no game succeeded.

    With the settings of the last, or if they are many, of the first.
    """
    groups: dict[str, list[RunRecord]] = {"every game in": [], "some games in": [], "no game in": []}
    for run in judged:
        wins, games = (run.successes.wins, run.successes.games) if run.successes else (0, 0)
        groups["no game in" if not wins else "every game in" if wins == games else "some games in"].append(run)
    parts = [f"{which} {counted(len(members), 'run')}" for which, members in groups.items() if members]
    if len(parts) == 1:
        return f", in {counted(len(judged), 'run')}"
    of_parts = [members for members in groups.values() if members]
    place = next((place for place in (-1, 0) if len(of_parts[place]) <= _NAMED), None)
    if place is not None:
        settings = dict(zip((run.name for run in judged), map_settings(judged), strict=True))
        named = [_setting(settings[run.name]) for run in of_parts[place]]
        parts[place] = f"{parts[place]} ({'; '.join(named)})"
    return f": {', '.join(parts)}"


def _setting(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {plain(value)}" for key, value in settings.items())


def _goal(run: RunRecord) -> str:
    """What a successful game of this run has done."""
    count = target_count(run)
    if count == 1:
        return "learned the mode"
    if "modes" in run.logged:
        return f"learned all {count} modes" if count else "learned all modes"
    if "classes" in run.logged:
        return f"learned all {count} classes evenly" if count else "learned all classes evenly"
    return "succeeded"


def _ending(metric: MetricInfo, series: Series) -> str:
    """A metric at the end, and at its best if it has a better direction."""
    means = np.ma.masked_invalid(series.values).mean(axis=1).filled(np.nan)  # over the games that have one
    text = f"{metric.title} {metric.short(means[-1])} at round {number(series.steps[-1])}"
    if not metric.better:
        return text
    if not np.isfinite(means).any():
        return text
    best = int(np.nanargmax(means) if metric.better == "higher" else np.nanargmin(means))
    return f"{text}, best {metric.short(means[best])} at round {number(series.steps[best])}"


def _range(runs: Sequence[RunRecord]) -> str:
    """The range of the main metric over runs that define no success."""
    count = counted(len(runs), "run")
    metrics = {metric for run in runs if (metric := primary(run))}
    if len(metrics) != 1:
        return f"{count}; no metric that they share."
    metric = metrics.pop()
    means = [mean for run in runs if (mean := mean_final(run, metric)) is not None]
    if not means:
        return f"{count}; none has a {uncapitalised(metric.title)} at the end."
    low, high = metric.short(min(means)), metric.short(max(means))
    return f"{count}: {uncapitalised(metric.title)} from {low} to {high} at the end."
