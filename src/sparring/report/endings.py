"""How runs ended, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

from sparring.report import format as words
from sparring.report.comparing import total
from sparring.report.metric_info import Measure, primary, telling
from sparring.report.read import Run, Series
from sparring.report.tables import mean_final


def verdict(run: Run) -> str:
    """How the run ended in one sentence: its successes, or what tells most where nothing defines a success."""
    told = [(measure, series) for measure in telling(run) if (series := run.series(measure.name))]
    if run.outcome is not None or not told:
        return words.verdict(run)
    first, *others = [_ending(measure, series) for measure, series in told]
    ends = "; ".join([first, *map(words.inside, others)])
    return f"{ends}{' (means over games)' if run.recipe.replicas > 1 else ''}."


def verdict_of_runs(runs: Sequence[Run]) -> str:
    """How runs ended together in one sentence: their successes, or between which numbers they lie."""
    whole = total(runs)
    if whole is None:
        return _range(runs)
    judged = [(run, run.outcome) for run in runs if run.outcome]
    every = sum(outcome.wins == outcome.games for _, outcome in judged)
    none = sum(outcome.wins == 0 for _, outcome in judged)
    count = "1 run" if len(judged) == 1 else f"{len(judged):,} runs"
    return (
        f"{whole.wins:,} of {words.games(whole.games)} in {count} succeeded at their last measurement: "
        f"all games in {every:,}, some in {len(judged) - every - none:,}, none in {none:,}."
    )


def heading(runs: Sequence[Run]) -> str:
    """The heading of what tells most, by its title where that is the same of all, and a mean of none."""
    titles = {measure.title for run in runs if (measure := primary(run))}
    packed = any(run.recipe.replicas > 1 for run in runs)
    return "mean at the end" if packed or len(titles) != 1 else f"{titles.pop()} at the end"


def _ending(measure: Measure, series: Series) -> str:
    """A measure at the end, and at its best where it has one."""
    shown = words.share if measure.is_share else words.number
    means = series.values.mean(axis=1)
    told = f"{measure.title} {shown(means[-1])} at round {words.number(series.steps[-1])}"
    if not measure.better:
        return told
    best = int(means.argmax() if measure.better == "higher" else means.argmin())
    return f"{told}, best {shown(means[best])} at round {words.number(series.steps[best])}"


def _range(runs: Sequence[Run]) -> str:
    """Between which numbers runs ended that have no success to count."""
    count = "1 run" if len(runs) == 1 else f"{len(runs):,} runs"
    ends = [
        (measure, mean) for run in runs if (measure := primary(run)) and (mean := mean_final(run, measure)) is not None
    ]
    if not ends or len({measure for measure, _ in ends}) > 1:
        return f"{count}; no measure that they share."
    measure, means = ends[0][0], [mean for _, mean in ends]
    low, high = map(words.share if measure.is_share else words.number, (min(means), max(means)))
    return f"{count}: {words.inside(measure.title)} from {low} to {high} at the end."
