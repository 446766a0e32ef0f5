"""Promise 7: every kind of collapse raises its alarm in time, and healthy games raise none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sparring.recipes import AnyRecipe, load
from sparring.report import report_run
from sparring.runs.folder import RunFolder
from sparring.runs.schema import MetricValue
from sparring.training.loop import train
from torture.collapses import (
    clipped_discriminator,
    constant_discriminator,
    constant_generator,
    one_class,
    one_mode,
    one_predicted_class,
    planted,
    scaled_discriminator,
)
from torture.games import Notes
from torture.promise import Promise, Trial

IN_TIME = 0.05
"""Share of the budget between the damage and the alarm."""
BUDGETS = (100, 300)
"""Rounds of a damaged run."""
SHARE = 0.3
"""The share of the games of a healthy trial that must learn their data for the trial to count."""

_QUIET = ("log_every=0", "checkpoint_every=0")
_SMALL = ("data=digits", "generator.width=8", "discriminator.width=8", "batch_size=32")
RING = ("dishonest/ring-small", "batch_size=64", "sample_every=0")
GAMES: dict[str, tuple[str, ...]] = {
    "ring": (*RING, "replicas=1"),
    "ring, replicas": (*RING, "replicas=3"),
    "ring, log": (*RING, "replicas=1", "objective=log", "feedback=honest"),
    "grid": (*RING, "data={name: grid}", "replicas=1", "objective=nonsaturating", "feedback=honest"),
    "digits, replicas": ("dishonest/digits", "replicas=2", "batch_size=32"),
    "classes": ("robgan/digits-acgan",),
    "CNN": ("asgan/cifar10-dcgan", *_SMALL),
    "CNN, spectral norm": ("asgan/cifar10-dcgan-no-bn", *_SMALL, "objective=hinge", "lipschitz=spectral_norm"),
    "critic": ("dat/cifar10-wgan-gp", *_SMALL, "critic_steps=1"),
}
_IMAGES = ("digits, replicas", "classes", "CNN", "CNN, spectral norm", "critic")


@dataclass(frozen=True)
class Planted:
    """A planted collapse: the damage, the alarm that it should raise, and recipes in which it can happen."""

    damage: Callable[[Any, int], None]
    kind: str
    recipes: tuple[tuple[str, ...], ...]


COLLAPSES = (
    Planted(constant_generator, "constant generator", tuple(GAMES.values())),
    Planted(scaled_discriminator, "saturated discriminator", tuple(GAMES[name] for name in GAMES if name != "critic")),
    Planted(one_mode, "one mode", tuple(GAMES.values())),
    Planted(one_class, "one class", tuple(GAMES[name] for name in _IMAGES)),
    Planted(clipped_discriminator, "saturated discriminator", tuple(GAMES.values())),
    Planted(constant_discriminator, "constant discriminator", tuple(GAMES.values())),
    Planted(one_predicted_class, "one predicted class", (("robgan/digits-classifier",),)),
)
"""Large scores of a Wasserstein critic are healthy: its payoff has the same slope everywhere."""

_HONEST = (*RING, "feedback=honest", "replicas=3", "ema=0.98", "steps=600", "evaluate_every=300")
HEALTHY: tuple[tuple[str, ...], ...] = (
    (*_HONEST, "objective=least_squares"),
    ("robgan/digits-classifier", "steps=300", "evaluate_every=100"),
    ("robgan/digits-acgan", "ema=0.98", "steps=500", "sample_every=0", "evaluate_every=250"),
    (*_HONEST, "objective=nonsaturating"),
    ("robgan/digits", "ema=0.98", "steps=500", "sample_every=0", "evaluate_every=250"),
    ("dishonest/digits", "steps=1200", "batch_size=64", "ema=0.99", "sample_every=0", "evaluate_every=750"),
)
"""Recipes that learn their data quickly, with several objectives."""
_CYCLE, _PLANTED = 6, 4


def trial(trial: Trial) -> None:
    """Four planted collapses, two healthy runs, and so on."""
    cycle, place = divmod(trial.index, _CYCLE)
    if place < _PLANTED:
        _collapse(trial, COLLAPSES[(_PLANTED * cycle + place) % len(COLLAPSES)])
    else:
        _healthy(trial, HEALTHY[((_CYCLE - _PLANTED) * cycle + place - _PLANTED) % len(HEALTHY)])


def _collapse(trial: Trial, collapse: Planted) -> None:
    steps = trial.draw.randint(*BUDGETS)
    recipe = _recipe(trial, *trial.draw.choice(collapse.recipes), f"steps={steps}", *_QUIET, "evaluate_every=0")
    at = trial.draw.choice((0, trial.draw.randrange(int(steps * (1 - IN_TIME)))))
    victim = trial.draw.randrange(recipe.lead[0]) if recipe.lead else 0
    progress = Notes()
    path = trial.folder / "run"
    with planted(at, lambda what: collapse.damage(what, victim)):
        summary = train(recipe, path, device="cpu", progress=progress)
    times = [alarm.step for alarm in summary.alarms if (alarm.kind, alarm.game) == (collapse.kind, victim)]
    within = [step for step in times if at < step <= at + max(2, IN_TIME * steps)]
    assert within, f"{collapse.kind} at {at} of {steps} of game {victim}: {summary.alarms}, {recipe!r}"
    assert any(f"round {within[0]:,}" in line for line in progress.lines), progress.lines
    page = report_run(RunFolder.open(path)).read_text(encoding="utf-8")
    assert 'class="flags alarms"' in page
    assert f"{collapse.kind}</strong>" in page


def _healthy(trial: Trial, keys: tuple[str, ...]) -> None:
    recipe = _recipe(trial, *keys, *_QUIET)
    path = trial.folder / "run"
    summary = train(recipe, path, device="cpu")
    learned = _learned(summary.metrics)
    assert sum(learned) >= SHARE * len(learned), f"not healthy: {learned}, {recipe!r}"
    false = [alarm for alarm in summary.alarms if learned[alarm.game]]
    assert not false, f"{false}, {recipe!r}"
    if not summary.alarms:
        assert 'class="flags alarms"' not in report_run(RunFolder.open(path)).read_text(encoding="utf-8")


def _learned(metrics: dict[str, MetricValue]) -> list[bool]:
    """Whether each game has learned more than one mode or class, or a classifier most samples."""
    found = next((metrics[name] for name in ("modes", "classes") if name in metrics), None)
    if found is None:
        return [metrics["accuracy_test"].mean > 0.8]
    return [each.value > 1 for each in found.estimates]


def _recipe(trial: Trial, name: str, *overrides: str) -> AnyRecipe:
    return load(name, [*overrides, f"seed={trial.draw.randrange(10_000)}"])


PROMISE = Promise(
    number=7,
    title="Collapse is noticed within 5 % of the budget, and no healthy game raises an alarm",
    quick=5,
    long=112,
    trial=trial,
)
