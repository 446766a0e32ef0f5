"""The verdict on a run, from made-up measures of every kind of data and every way to end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from sparring.monitoring.run_verdict import KINDS, RunEnd, run_verdict
from sparring.recipes import load
from sparring.runs.schema import Alarm, MetricValue

EVERY_KIND: dict[str, tuple[str, list[str], dict[str, Any], str]] = {
    "a ring": (
        "dishonest/ring-small",
        ["replicas=1", "steps=4000"],
        {"modes": 7.0, "high_quality": 0.91, "success": 0.0},
        "G draws 7 of 8 modes after 4,000 rounds; 91 % of the generated points lie near a mode.",
    ),
    "packed games": (
        "dishonest/ring-small",
        ["replicas=3", "steps=4000"],
        {"modes": (8.0, 8.0, 3.0), "high_quality": (0.9, 0.8, 0.1), "success": (1.0, 1.0, 0.0)},
        "G draws all 8 modes in 2 of 3 games (6.33 modes on average) after 4,000 rounds; "
        "60 % of the generated points lie near a mode.",
    ),
    "a line": (
        "notes/lipschitz-discriminator",
        [],
        {"modes": 1.0, "high_quality": 0.98, "success": 1.0},
        "G finds the mode after 600 rounds; 98 % of the generated points lie near it.",
    ),
    "a line, missed": (
        "notes/lipschitz-discriminator",
        [],
        {"modes": 0.0, "high_quality": 0.0, "success": 0.0},
        "G does not find the mode after 600 rounds; 0 % of the generated points lie near it.",
    ),
    "images of classes": (
        "robgan/digits",
        ["steps=4000"],
        {"classes": 3.0, "success": 0.0, "frechet_distance": 701.4, "frechet_floor": 5.93},
        "G draws 3 of 10 classes after 4,000 rounds; Fréchet distance 701 against a floor of 5.93.",
    ),
    "packed games of images": (
        "dishonest/digits",
        ["replicas=2", "steps=4000"],
        {"classes": (10.0, 4.0), "success": (1.0, 0.0), "frechet_distance": (9.0, 11.0), "frechet_floor": (1.0, 1.0)},
        "G draws all 10 classes evenly in 1 of 2 games (7 classes on average) after 4,000 rounds; "
        "Fréchet distance 10 against a floor of 1.",
    ),
    "images without classes": (
        "dishonest/digits",
        ["replicas=1", "steps=4000"],
        {"frechet_distance": 31.4, "frechet_floor": 5.93, "sliced_wasserstein": 0.2, "sliced_wasserstein_floor": 0.1},
        "G reaches a Fréchet distance of 31.4 against a floor of 5.93 after 4,000 rounds.",
    ),
    "images without classes and features": (
        "dishonest/digits",
        ["replicas=1", "steps=4000"],
        {"sliced_wasserstein": 0.2304, "sliced_wasserstein_floor": 0.0729},
        "G reaches a sliced Wasserstein distance of 0.23 against a floor of 0.0729 after 4,000 rounds.",
    ),
    "points without modes": (
        "dishonest/ring-small",
        ["replicas=1", "steps=4000"],
        {"wasserstein2": 0.2304, "wasserstein2_floor": 0.0729},
        "G reaches a Wasserstein-2 distance of 0.23 against a floor of 0.0729 after 4,000 rounds.",
    ),
    "a classifier": (
        "robgan/digits-adversarial-training",
        ["steps=2000"],
        {"robust_accuracy_test": 0.6181, "accuracy_test": 0.9611},
        "The classifier keeps 61.8 % under PGD-20 at 0.15 (L-infinity) on 360 held-out images after 2,000 rounds; "
        "96.1 % without attack.",
    ),
    "a selected classifier": (
        "robgan/digits-adversarial-training",
        ["steps=2000", "selection={every: 100}"],
        {
            **{"robust_accuracy_test": 0.2, "accuracy_test": 0.9},
            **{"robust_accuracy_test_best": 0.6181, "accuracy_test_best": 0.9611},
        },
        "The classifier keeps 61.8 % under PGD-20 at 0.15 (L-infinity) on 360 held-out images after 2,000 rounds; "
        "96.1 % without attack.",
    ),
    "a classifier without held-out images": (
        "robgan/digits-adversarial-training",
        ["steps=2000"],
        {"robust_accuracy_train": 0.8, "accuracy_train": 0.9611},
        "The classifier has 96.1 % right of 360 training images after 2,000 rounds; "
        "nothing is held out to judge it by.",
    ),
}


def _end(kind: str, **changes: Any) -> RunEnd:
    name, overrides, values, _ = EVERY_KIND[kind]
    recipe = load(name, overrides).model_copy(update={"planned_steps": None})
    facts = recipe.data.open(torch.device("cpu")).facts
    metrics = {key: MetricValue(value=value) for key, value in values.items()}
    evaluated_on = f"360 {'training' if 'accuracy_train' in values else 'held-out'} images"
    end = RunEnd(recipe, facts, metrics, recipe.steps, recipe.steps, evaluated_on=evaluated_on)
    return replace(end, **changes)


def _alarm(kind: str, *, game: int = 0, until: int | None = None) -> Alarm:
    return Alarm(step=1040, until=until, game=game, kind=kind, cause=f"it is {kind}", remedy="")


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_every_kind_of_data_has_its_sentence(kind: str) -> None:
    assert run_verdict(_end(kind)) == EVERY_KIND[kind][3]


def test_every_kind_has_a_case() -> None:
    assert KINDS.keys() == {next(name for name in KINDS if name in case[2]) for case in EVERY_KIND.values()}


@pytest.mark.parametrize(
    ("status", "start"),
    [
        ("interrupted", "Stopped by a signal"),
        ("non-finite", "Stopped by a number that was not finite"),
        ("failed", "Failed"),
    ],
)
def test_a_run_that_stopped_says_why_and_what_it_had_reached(status: str, start: str) -> None:
    stopped = f"{start} after 120 of 4,000 rounds"
    end = _end("images of classes", status=status, steps=120, measured=100)
    assert (
        run_verdict(end)
        == f"{stopped}; at round 100 G draws 3 of 10 classes; Fréchet distance 701 against a floor of 5.93."
    )
    assert run_verdict(replace(end, metrics={})) == f"{stopped}, before the first measurement."


def test_a_run_of_fewer_rounds_than_the_recipe_has_says_so() -> None:
    recipe = load("robgan/digits", ["steps=200"])
    assert run_verdict(_end("images of classes", recipe=recipe, steps=200)).startswith(
        "G draws 3 of 10 classes after 200 of the recipe's 4,000 rounds;"
    )
    longer = load("robgan/digits", ["steps=9000"])
    assert "after 9,000 rounds;" in run_verdict(_end("images of classes", recipe=longer, steps=9000))
    assert load("robgan/digits", ["steps=4000"]).planned_steps is None


def test_a_run_that_measures_nothing_says_so() -> None:
    recipe = load("dishonest/digits", ["evaluate_every=0", "steps=50"])
    end = _end("images of classes", recipe=recipe, metrics={}, steps=50)
    assert (
        run_verdict(end)
        == "50 of the recipe's 10,000 rounds are complete; nothing was measured, as evaluate_every is 0."
    )
    measuring = load("dishonest/digits", ["steps=50"])
    assert run_verdict(replace(end, recipe=measuring)).endswith(
        "nothing was measured, as no measure applies to these data."
    )


def test_a_collapse_that_holds_comes_first_and_one_that_has_ended_is_left_out() -> None:
    end = _end("a ring", alarms=(_alarm("one mode"), _alarm("one class", until=80)))
    assert run_verdict(end).startswith("G collapsed at round 1,040 (it is one mode); G draws 7 of 8 modes after")
    packed = [_alarm("one mode", game=2), _alarm("constant discriminator", game=2), _alarm("one class", game=0)]
    text = run_verdict(_end("packed games", alarms=packed))
    assert text.startswith(
        "G collapsed in 2 of 3 games (it is one mode or it is one class); D collapsed in 1 of 3 games"
    )
    assert run_verdict(_end("a classifier", alarms=[_alarm("one predicted class")])).startswith(
        "The classifier collapsed at round 1,040 (it is one predicted class); the classifier keeps 61.8 %"
    )


def test_packed_games_that_diverged_are_counted() -> None:
    end = _end("packed games")
    diverged = {"diverged": MetricValue(value=(None, 12, 40))}
    assert run_verdict(replace(end, metrics={**end.metrics, **diverged})).endswith("; 2 of 3 games diverged.")
    lost = {"modes": (None, None, None), "high_quality": (None, None, None), "success": (0.0, 0.0, 0.0)}
    metrics = {name: MetricValue(value=value) for name, value in lost.items()} | diverged
    assert run_verdict(replace(end, metrics=metrics)) == (
        "G draws all 8 modes in 0 of 3 games after 4,000 rounds; 2 of 3 games diverged."
    )
