"""Alarms from synthetic logs, collapse metrics against closed forms, and checks without side effects."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from sparring.core.randomness import Rng
from sparring.data import Batch
from sparring.gan.state import GANState
from sparring.monitoring.alarms import RULES, AlarmMonitor, has_started
from sparring.monitoring.collapse_metrics import (
    CHECKS,
    COLLAPSE_METRICS,
    GANCollapseMetrics,
    check_interval,
    effective_number,
)
from sparring.recipes import Recipe, load
from sparring.robustness.model_checks import changes, network_state
from sparring.runs.schema import Alarm
from torture.collapses import one_mode

HEALTHY = {
    "collapse_spread": 0.9,
    "collapse_distance": 1.2,
    "collapse_radius": 1.0,
    "collapse_anchors": 40.0,
    "collapse_classes": 7.0,
    "collapse_score_spread": 0.2,
    "collapse_steepness": 3.0,
    "collapse_far": 0.0,
    "collapse_slope_generator": 0.9,
    "collapse_slope_discriminator": 0.5,
    "collapse_predicted": 9.0,
    "collapse_robust_drop": 0.1,
}
COLLAPSED: dict[str, dict[str, float]] = {
    "constant generator": {"collapse_spread": 0.0, "collapse_anchors": 1.0, "collapse_classes": 1.0},
    "one mode": {"collapse_spread": 0.07, "collapse_anchors": 1.0, "collapse_classes": 1.0},
    "one class": {"collapse_classes": 1.0},
    "constant discriminator": {"collapse_score_spread": 0.0, "collapse_steepness": 0.0},
    "saturated discriminator": {"collapse_far": 1.0, "collapse_slope_discriminator": 0.0},
    "one predicted class": {"collapse_predicted": 1.0},
    "catastrophic overfitting": {"collapse_robust_drop": 0.3},
}
ROUNDS = 2000


def _recipe(*overrides: str) -> Recipe:
    recipe = load("dishonest/ring-small", [f"steps={ROUNDS}", "replicas=1", *overrides])
    assert isinstance(recipe, Recipe)
    return recipe


def alarms(rows: list[dict[str, Any]], recipe: Recipe) -> list[Alarm]:
    return AlarmMonitor(recipe, rows).alarms()


def _log(*checks: dict[str, float]) -> list[dict[str, Any]]:
    return [{"step": 40 * (index + 1)} | HEALTHY | check for index, check in enumerate(checks)]


def test_every_rule_has_a_case() -> None:
    assert COLLAPSED.keys() == {rule.kind for rule in RULES}


@pytest.mark.parametrize("kind", COLLAPSED)
def test_two_checks_in_a_row_raise_one_alarm(kind: str) -> None:
    collapsed = COLLAPSED[kind]
    (found,) = alarms(_log({}, collapsed, {}, collapsed, collapsed, collapsed, {}, {}), _recipe())
    assert (found.kind, found.step, found.until, found.game) == (kind, 200, 280, 0)
    (lasting,) = alarms(_log({}, collapsed, collapsed), _recipe())
    assert lasting.until is None


def test_healthy_logs_and_rows_between_checks_raise_no_alarm() -> None:
    assert alarms(_log({}, {}, {}), _recipe()) == []
    assert alarms([{"step": 10, "d_real": 0.5}, {"step": 20, "d_real": 0.5}], _recipe()) == []
    rows = _log({}, COLLAPSED["one mode"], COLLAPSED["one mode"])
    rows.insert(2, {"step": 100, "d_real": 0.5})
    assert [alarm.step for alarm in alarms(rows, _recipe())] == [120]


def test_packed_games_have_their_own_alarms() -> None:
    checks = zip(_log({}, {}, {}), _log({}, COLLAPSED["one class"], COLLAPSED["one class"]), strict=True)
    rows = [{"step": a["step"]} | {name: [a[name], b[name]] for name in COLLAPSE_METRICS} for a, b in checks]
    assert [(alarm.game, alarm.kind) for alarm in alarms(rows, _recipe("replicas=2"))] == [(1, "one class")]


def test_a_new_generator_is_excused_for_half_of_the_budget() -> None:
    start = {"collapse_spread": 0.05, "collapse_distance": 20.0, "collapse_radius": 0.1, "collapse_classes": 1.0}
    found = alarms(_log(*[start] * 50), _recipe())
    assert [(alarm.kind, alarm.step) for alarm in found] == [("one mode", 1040)]
    assert alarms(_log(*[start] * 12), _recipe("steps=500")) == []
    started = alarms(_log(*[start] * 5, {}, *[start] * 5), _recipe())
    assert [(alarm.kind, alarm.step) for alarm in started] == [("one mode", 320)]


def test_one_real_sample_from_the_start_is_not_excused() -> None:
    real, grey = {"collapse_radius": 1.1}, {"collapse_radius": 0.3}
    for radius, expected in ((real, [80]), (grey, [])):
        log = _log(*[{"collapse_spread": 0.05, "collapse_distance": 0.8} | radius] * 4)
        assert [alarm.step for alarm in alarms(log, _recipe())] == expected


def test_no_rule_holds_without_measurements() -> None:
    nothing = dict.fromkeys(COLLAPSE_METRICS, math.nan)
    assert not has_started(nothing)
    assert not any(rule.holds(nothing, True) for rule in RULES)


def test_the_monitor_reports_each_alarm_of_the_log_once() -> None:
    rows, recipe = _log({}, *[COLLAPSED["one mode"]] * 3, {}, *[COLLAPSED["one class"]] * 3), _recipe()
    monitor = AlarmMonitor(recipe, rows[:2])
    lines = [line for row in rows[2:] for line in monitor.add(row)]
    assert [line.split(":")[0] for line in lines] == [
        *("alarm at round 120", "  try"),
        "round 200",  # the first alarm has ended
        *("alarm at round 280", "  try"),
    ]
    assert lines[2] == "round 200: the alarm has ended: one mode"
    assert monitor.alarms() == alarms(rows, recipe)
    assert [alarm.lasts for alarm in monitor.alarms()] == [False, True]


CONDITIONAL = ("generator.conditional=true", "discriminator.head=projection")
ADVICE: dict[str, tuple[str, tuple[str, ...], str]] = {
    "unconditional": ("one class", (), "lower learning rates, another objective or a conditional G"),
    "conditional": ("one class", CONDITIONAL, "lower learning rates or another objective"),
    "controlled": ("one mode", (), "lower learning rates, another objective or another Lipschitz control of D"),
    "free": ("one mode", ("lipschitz=none",), "lower learning rates, another objective or a Lipschitz control of D"),
    "nothing to loosen": ("constant discriminator", ("lipschitz=none",), "a lower learning rate of D"),
    "cannot saturate": (
        "saturated discriminator",
        ("objective=wasserstein",),
        "a lower learning rate of D or another Lipschitz control of D",
    ),
    "no batch normalisation to turn on": ("constant generator", (), "a lower learning rate of G"),
}


@pytest.mark.parametrize("case", ADVICE)
def test_advice_knows_the_recipe(case: str) -> None:
    kind, overrides, words = ADVICE[case]
    (alarm,) = alarms(_log({}, *[COLLAPSED[kind]] * 2), _recipe(*overrides))
    assert (alarm.kind, alarm.remedy) == (kind, f"train again with {words}")


def test_a_classifier_without_attack_is_not_advised_to_weaken_it() -> None:
    for overrides, words in ((["attack=none"], ""), ([], " or a weaker attack or a longer warmup")):
        recipe = load("robgan/digits-adversarial-training", overrides)
        (alarm,) = AlarmMonitor(recipe, _log(*[COLLAPSED["one predicted class"]] * 2)).alarms()
        assert alarm.remedy == f"train again with a lower learning rate{words}"


def test_data_of_one_class_raise_no_alarm_about_classes() -> None:
    branch = ("generator.conditional=true", "discriminator.head=auxiliary", "class_loss=split")
    found = GANCollapseMetrics(_game("data={name: ring, modes: 1}", *branch), None).measure(0)
    assert not {"collapse_classes", "collapse_predicted"} & found.keys() and "collapse_anchors" in found


@pytest.mark.parametrize(("rare", "is_checked"), [(10, False), (50, True)])
def test_a_class_that_is_rare_in_the_data_may_be_rare_in_samples(
    rare: int, is_checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    game = _game()
    real = game.source.held_out(400, rng=Rng.of(9)).samples
    uneven = Batch(real, (torch.arange(400) % 100 < rare).long())
    monkeypatch.setattr(game.source, "held_out", lambda *_, **__: uneven)
    assert ("collapse_classes" in GANCollapseMetrics(game, None).measure(0)) == is_checked


def test_with_few_held_out_samples_training_samples_take_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    game = _game()
    few = game.source.held_out(3, rng=Rng.of(9))
    monkeypatch.setattr(game.source, "held_out", lambda *_, **__: few)
    found = GANCollapseMetrics(game, None).measure(0)
    assert found["collapse_steepness"] > 0 and found["collapse_spread"] < 100


@pytest.mark.parametrize("steps", [1, 49, 50, 149, 156_250])
def test_two_checks_take_four_percent_of_the_budget(steps: int) -> None:
    assert 2 * check_interval(steps) <= max(2, 0.04 * steps)
    assert steps // check_interval(steps) <= 2 * CHECKS


def test_effective_numbers() -> None:
    found = torch.tensor([[0, 1, 2, 3], [0, 0, 1, 1], [2, 2, 2, 2]])
    torch.testing.assert_close(effective_number(found, 5), torch.tensor([4.0, 2.0, 1.0], dtype=torch.float64))


def _game(*overrides: str) -> GANState:
    recipe = _recipe(*overrides)
    return GANState(recipe, recipe.data.open(torch.device("cpu")), torch.device("cpu"))


def test_collapse_metrics_of_real_samples_and_of_one_mode() -> None:
    game = _game()
    real = game.source.held_out(128, rng=Rng.of(9)).samples
    game.generator.forward = lambda codes: real  # type: ignore[method-assign]
    found = GANCollapseMetrics(game, None).measure(0)
    assert found["collapse_spread"] == pytest.approx(1, abs=0.1)
    assert found["collapse_distance"] == pytest.approx(1, abs=0.4)
    assert found["collapse_radius"] == pytest.approx(1, abs=0.1)
    assert found["collapse_classes"] == pytest.approx(8, abs=0.5)
    mode = _game()
    one_mode(mode, 0)
    found = GANCollapseMetrics(mode, None).measure(0)
    assert found["collapse_spread"] == pytest.approx(0.1 * math.sqrt(2) / 2, rel=0.3)  # std 0.1 in the plane, radius 2
    assert found["collapse_classes"] == pytest.approx(1)


@pytest.mark.parametrize(("objective", "slope"), [("wasserstein", 1.0), ("log", 0.0), ("square_root", 1 / 4e3)])
def test_slopes_at_large_scores(objective: str, slope: float) -> None:
    game = _game(f"objective={objective}")
    score = game.discriminator.forward
    game.discriminator.forward = lambda x: score(x)._replace(score=0 * score(x).score - 1e6)  # type: ignore[method-assign]
    found = GANCollapseMetrics(game, None).measure(0)
    assert found["collapse_slope_generator"] == pytest.approx(slope, rel=1e-3)
    assert found["collapse_slope_discriminator"] == pytest.approx(slope, rel=1e-3)
    assert found["collapse_score_spread"] == 0
    assert found["collapse_far"] == 1


CNN = (
    "data=digits",
    "generator={name: mnist, latent: 8, width: 4, batch_norm: true}",
    "discriminator={name: mnist, width: 4}",
)
KINDS: dict[str, tuple[str, ...]] = {
    "replicas": ("replicas=2",),
    "batch normalisation, spectral norm": (*CNN, "lipschitz=spectral_norm"),
    "classes": (*CNN, "generator.conditional=true", "discriminator.head=auxiliary", "class_loss=split"),
    "projection, replicas": ("replicas=2", "generator.conditional=true", "discriminator.head=projection"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_check_has_no_side_effects(kind: str) -> None:
    game = _game(*KINDS[kind], "batch_size=8")
    before, drawn = network_state(game.networks), torch.get_rng_state()
    first = GANCollapseMetrics(game, None).measure(3)
    assert not changes(before, network_state(game.networks))
    assert torch.equal(torch.get_rng_state(), drawn)
    assert GANCollapseMetrics(game, None).measure(3) == first
    assert first.keys() <= COLLAPSE_METRICS.keys()
