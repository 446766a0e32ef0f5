"""What verbs that train print at the end: the verdict, and of a run the measures that matter, the time, the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from sparring.cli.terminal import Row, print_json, print_metrics
from sparring.core.errors import SparringError, print_text
from sparring.core.intervals import percent
from sparring.core.process import rank

if TYPE_CHECKING:
    from sparring.runs.folder import RunFolder
    from sparring.runs.schema import MetricValue, Summary

_MATTERING: dict[str, tuple[tuple[str, ...], ...]] = {
    "modes": (("modes", "high_quality"), ("wasserstein2",)),
    "classes": (("classes", "recognisable"), ("frechet_distance",)),
    "frechet_distance": (("frechet_distance",), ("precision", "recall")),
    "sliced_wasserstein": (("sliced_wasserstein",),),
    "wasserstein2": (("wasserstein2",),),
    "robust_accuracy_test": (("robust_accuracy_test",), ("accuracy_test",)),
}
"""The measures that matter, a tuple for each line, by the main measure of each kind of data."""


Times = Callable[["Summary", float], str]
"""A summary and the seconds of the whole command, to what the time went to."""


def print_ending(out: Path, summary: Summary, times: Times, *, began: float, verbose: bool, as_json: bool) -> None:
    """Write the run's page, and print what happened; in the first process of a group only.

    Args:
        out: the run folder.
        summary: of the run.
        times: says what the time went to.
        began: when the command began, by `time.monotonic`.
        verbose: print every measure with its protocol too, and which theorem covers the run.
        as_json: print the summary and the path of the page as JSON instead.
    """
    if rank():
        return
    from sparring.report import report_run
    from sparring.runs.folder import RunFolder

    folder = RunFolder.open(out)
    page = report_run(folder)
    if as_json:
        print_json(summary.as_json() | {"report": str(page)})
        return
    print_text(summary.verdict)
    for line in mattering(summary.metrics):
        print_text(f"  {line}")
    print_text(f"  Time: {times(summary, time.monotonic() - began)}")
    print_text(f"  report: {page}")
    if verbose:
        _print_the_rest(folder, summary)


def mattering(metrics: Mapping[str, MetricValue]) -> list[str]:
    """The two or three measures that matter, with their intervals and floors, on at most two lines."""
    main = next((name for name in _MATTERING if name in metrics), None)
    lines = _MATTERING[main] if main else ()
    return [_line([name for name in names if name in metrics], metrics) for names in lines if names[0] in metrics]


def _line(names: Sequence[str], metrics: Mapping[str, MetricValue]) -> str:
    from sparring.report.format import uncapitalised

    first, *others = [_shown(name, metrics) for name in names]
    games = len(metrics[names[0]].estimates)
    return "; ".join([first, *map(uncapitalised, others)]) + (f" (means of {games} games)" if games > 1 else "")


def _shown(name: str, metrics: Mapping[str, MetricValue]) -> str:
    """A measure with its interval, and what it compares with: a floor, real images, or training samples."""
    from sparring.report.format import share_interval
    from sparring.report.metric_info import metric_info

    info, metric = metric_info(name), metrics[name]
    interval = "" if metric.is_per_game or not info.is_share else f" {share_interval(metric.estimates[0].interval)}"
    reference = metrics[info.reference].mean if info.reference in metrics else None
    compared = "" if reference is None else f" ({info.reference_label.split(':')[0]} {info.short(reference)})"
    return f"{info.title} {info.short(metric.mean)}{interval}{compared}"


def times_of_new(summary: Summary, seconds: float) -> str:
    """The times of a run that this command began."""
    whole, prepared, rounds = (_duration(each) for each in (seconds, summary.preparation_seconds, summary.seconds))
    rest = _duration(seconds - summary.preparation_seconds - summary.seconds)
    return f"{whole} ({prepared} of preparation, {rounds} of rounds, {rest} to start and draw the page)"


def times_of_resumed(summary: Summary, seconds: float) -> str:
    """The times of a run that earlier commands began; its summary counts their rounds too."""
    whole, prepared, rounds = (_duration(each) for each in (seconds, summary.preparation_seconds, summary.seconds))
    return f"{whole} ({prepared} of preparation); all rounds, with those of earlier calls, took {rounds}"


def _duration(seconds: float) -> str:
    from sparring.report.format import duration

    return duration(round(seconds, 1 if seconds < 10 else 0))


def _print_the_rest(folder: RunFolder, summary: Summary) -> None:
    """Every measure with its protocol, and which theorem covers the run."""
    from sparring.recipes import Recipe
    from sparring.theory.theorem_coverage import covered_by

    if summary.metrics:
        print_metrics(summary.metrics, f"{folder.path} after {summary.steps:,} rounds")
    recipe = folder.recipe()
    if isinstance(recipe, Recipe):
        print_text(f"theory: {covered_by(recipe.objective, recipe.feedback)}")


def sweep_verdict(out: Path, rows: Sequence[Row]) -> str:
    """What happened in a sweep: how many cells are complete, and what their games reached together.

    Args:
        out: the folder of the sweep.
        rows: of its table.
    """
    from sparring.report.read import read_run
    from sparring.report.sentences import verdict_of_runs
    from sparring.sweeps.executor import status_of
    from sparring.sweeps.sweep_folder import SweepFolder

    sweep = SweepFolder.open(out)
    runs = []
    for folder in map(sweep.folder, sweep.packs):
        with suppress(SparringError):  # the table says what cannot be read
            if status_of(folder.path) == "complete":
                runs.append(read_run(folder))
    complete = sum(row["status"] == "complete" for row in rows)
    reached = f" {verdict_of_runs(runs)}" if runs else ""
    return f"{complete:,} of {len(rows):,} cells are complete.{reached}"


def demo_verdict(summaries: Sequence[Summary]) -> str:
    """What happened in the demo: in how many games each objective learned all modes, by how often D lies, and when."""
    by_lies: dict[float, list[str]] = {}
    for summary in summaries:
        wins = [estimate.value or 0 for estimate in summary.metrics["success"].estimates]
        reached = f"{sum(wins):.0f} of {len(wins)} games with {summary.recipe['objective']['name']}"
        by_lies.setdefault(summary.recipe["feedback"]["probability"], []).append(reached)
    lying = {lies: f"one that lies {percent(lies, 0)} of the time" for lies in by_lies}
    names = lying | {0.0: "an honest discriminator"}
    parts = [f"{names[lies]} in {' and '.join(reached)}" for lies, reached in by_lies.items()]
    return f"After {summaries[0].steps:,} rounds G has learned all modes under {'; under '.join(parts)}."
