"""The verdict on a run: what happened, in one sentence, from its measures and their floors, its recipe and its alarms.

    G draws 3 of 10 classes after 500 of the recipe's 4,000 rounds; Fréchet distance 380 against a floor of 1.1.

The first of `KINDS` whose main measure a run has says what it reached: there is one for every kind of data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sparring.attacks import main_attack, short_size
from sparring.core.intervals import percent
from sparring.data import Facts
from sparring.monitoring.alarms import network_of
from sparring.recipes import ClassifierRecipe, TrainingRecipe
from sparring.runs.schema import Alarm, MetricValue

_STOPPED = {
    "interrupted": "Stopped by a signal",
    "non-finite": "Stopped by a number that was not finite",
}
"""How a verdict begins by status; any other status is a failure."""
_NAMES = {"classifier": "the classifier"}
_FLOORS = {
    "frechet_distance": "frechet_floor",
    "sliced_wasserstein": "sliced_wasserstein_floor",
    "wasserstein2": "wasserstein2_floor",
}


@dataclass(frozen=True)
class RunEnd:
    """How a run ended, as far as its verdict says.

    Args:
        recipe: of the run.
        facts: of its data.
        metrics: final values by name.
        steps: rounds trained.
        measured: the round that the values are of.
        status: as in `Summary`.
        alarms: as in `Summary`.
        evaluated_on: the samples of a classifier's accuracies, as text.
    """

    recipe: TrainingRecipe
    facts: Facts
    metrics: Mapping[str, MetricValue]
    steps: int
    measured: int
    status: str = "complete"
    alarms: Sequence[Alarm] = ()
    evaluated_on: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a run reached, as a clause with a verb, and what is said after the rounds that it took."""

    clause: str
    details: tuple[str, ...] = ()


def run_verdict(end: RunEnd) -> str:
    """What happened in a run, in one sentence: why it stopped and what has collapsed, if so, then what it reached."""
    reached = next((reach(end) for name, reach in KINDS.items() if name in end.metrics), None)
    parts = _complete(end, reached) if end.status == "complete" else _stopped(end, reached)
    sentence = "; ".join([*parts, *_divergences(end)])
    return f"{sentence[:1].upper()}{sentence[1:]}."


def _complete(end: RunEnd, reached: Outcome | None) -> list[str]:
    """What has collapsed, and what the run reached after how many rounds."""
    rounds, whole = f"{end.steps:,} rounds", max(end.recipe.steps, end.recipe.planned_steps or 0)
    if end.steps < whole:
        rounds = f"{end.steps:,} of the recipe's {whole:,} rounds"
    if reached is None:
        cause = "as no measure applies to these data" if end.recipe.evaluate_every else "as evaluate_every is 0"
        return [f"{rounds} are complete", *_collapses(end), f"nothing was measured, {cause}"]
    return [*_collapses(end), f"{reached.clause} after {rounds}", *reached.details]


def _stopped(end: RunEnd, reached: Outcome | None) -> list[str]:
    """Why the run stopped, what had collapsed, and what the last measurement found."""
    stopped = f"{_STOPPED.get(end.status, 'Failed')} after {end.steps:,} of {end.recipe.steps:,} rounds"
    if reached is None:
        return [f"{stopped}, before the first measurement", *_collapses(end)]
    return [stopped, *_collapses(end), f"at round {end.measured:,} {reached.clause}", *reached.details]


def _modes(end: RunEnd) -> Outcome:
    """Points: the modes that are covered, and the share of points near one."""
    assert end.facts.centres is not None
    count, near = len(end.facts.centres), end.metrics["high_quality"].mean
    where = "a mode" if count > 1 else "it"
    details = () if near is None else (f"{percent(near, 0)} of the generated points lie near {where}",)
    if count > 1:
        return Outcome(_covered(end, "modes", count, f"draws all {count} modes"), details)
    missed = not end.metrics["modes"].mean
    return Outcome("G does not find the mode" if missed else _covered(end, "modes", 1, "finds the mode"), details)


def _classes(end: RunEnd) -> Outcome:
    """Images of several classes: the classes that are drawn, and the Fréchet distance."""
    count = len(end.facts.classes)
    details = tuple(f"Fréchet distance {text}" for text in _against_floor(end, "frechet_distance"))
    return Outcome(_covered(end, "classes", count, f"draws all {count} classes evenly"), details)


def _distance(name: str, title: str) -> Callable[[RunEnd], Outcome]:
    """Images without classes, and points without modes: a distance from real ones."""

    def reach(end: RunEnd) -> Outcome:
        found = _against_floor(end, name)
        return Outcome(f"G reaches a {title} distance of {found[0]}" if found else "G has diverged")

    return reach


def _accuracy(end: RunEnd) -> Outcome:
    """A classifier: accuracy under the attack of its measurement, on which samples, and without attack."""
    assert isinstance(end.recipe, ClassifierRecipe)
    attack = main_attack(end.recipe.trained_against)
    under = f"PGD-{attack.steps} at {short_size(attack.epsilon, end.facts.space)} ({attack.ball.norm})"
    # A selected classifier is the run's, and what `evaluate` measures.
    of_run = "_best" if end.recipe.selection and "robust_accuracy_test_best" in end.metrics else ""
    names = f"robust_accuracy_test{of_run}", f"accuracy_test{of_run}"
    robust, clean = (percent(end.metrics[name].mean or 0) for name in names)
    return Outcome(f"the classifier keeps {robust} under {under} on {end.evaluated_on}", (f"{clean} without attack",))


def _training_accuracy(end: RunEnd) -> Outcome:
    """A classifier of data without held-out samples: no accuracy under attack, as training samples show nothing."""
    clean = percent(end.metrics["accuracy_train"].mean or 0)
    return Outcome(f"the classifier has {clean} right of {end.evaluated_on}", ("nothing is held out to judge it by",))


KINDS: dict[str, Callable[[RunEnd], Outcome]] = {
    "modes": _modes,
    "classes": _classes,
    "frechet_distance": _distance("frechet_distance", "Fréchet"),
    "sliced_wasserstein": _distance("sliced_wasserstein", "sliced Wasserstein"),
    "wasserstein2": _distance("wasserstein2", "Wasserstein-2"),
    "robust_accuracy_test": _accuracy,
    "robust_accuracy_train": _training_accuracy,
}
"""What a run reached, by the main measure of each kind of data."""


def _covered(end: RunEnd, name: str, count: int, goal: str) -> str:
    """How many modes or classes one game covers, or in how many of several G reaches the goal."""
    covered = end.metrics[name]
    if not covered.is_per_game:
        return f"G {goal}" if count == 1 else f"G draws {covered.mean:.0f} of {count} {name}"
    successes = [each.value or 0 for each in end.metrics["success"].estimates]
    wins, games = round(sum(successes)), len(successes)
    mean = "" if wins == games or covered.mean is None or count == 1 else f" ({covered.mean:.3g} {name} on average)"
    return f"G {goal} in {wins} of {games} games{mean}"


def _against_floor(end: RunEnd, name: str) -> list[str]:
    """A distance and its floor; nothing where it was not measured, or where all games have diverged."""
    value, floor = (end.metrics[key].mean if key in end.metrics else None for key in (name, _FLOORS[name]))
    return [] if value is None or floor is None else [f"{_short(value)} against a floor of {_short(floor)}"]


def _collapses(end: RunEnd) -> list[str]:
    """The networks that are collapsed at the end: since when, and how; of packed games, in how many."""
    lasting = [alarm for alarm in end.alarms if alarm.lasts]
    parts = []
    for network in dict.fromkeys(network_of(alarm.kind) for alarm in lasting):
        of_network = [alarm for alarm in lasting if network_of(alarm.kind) == network]
        causes = " or ".join(dict.fromkeys(alarm.cause for alarm in of_network))
        games = len({alarm.game for alarm in of_network})
        where = f"in {games} of {end.recipe.lead[0]} games" if end.recipe.lead else f"at round {of_network[0].step:,}"
        parts.append(f"{_NAMES.get(network, network)} collapsed {where} ({causes})")
    return parts


def _divergences(end: RunEnd) -> list[str]:
    """How many packed games have diverged."""
    if "diverged" not in end.metrics:
        return []
    rounds = [each.value for each in end.metrics["diverged"].estimates]
    return [f"{sum(at is not None for at in rounds)} of {len(rounds)} games diverged"]


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
