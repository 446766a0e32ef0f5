"""The examples run as they are."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from sparring.core.pieces import import_object
from sparring.recipes import load
from sparring.regimes import Mixed, Plain, Regime, Replace, Symmetric
from sparring.testing import check
from sparring.training.loop import train

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_plain_loop_learns() -> None:
    metrics = runpy.run_path(str(EXAMPLES / "plain_loop.py"))["main"](rounds=2000)
    assert metrics["modes"] >= 3


def test_a_data_source_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    check(import_object("own_data:Moons")())
    overrides = ["data=own_data:Moons", "steps=3", "replicas=2", "evaluate_every=3", "sample_every=3"]
    summary = train(load("dishonest/ring-small", overrides), tmp_path / "run", device="cpu")
    assert {"wasserstein2", "wasserstein2_floor", "wasserstein1"} <= set(summary.metrics)
    assert "modes" not in summary.metrics
    assert summary.recipe["data"]["name"] == "own_data:Moons"


def test_an_attack_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    check(import_object("own_attack:Momentum")())
    overrides = ["regime=symmetric", "regime.attack=own_attack:Momentum", "steps=2", "replicas=2", "sample_every=0"]
    summary = train(load("dishonest/ring-small", [*overrides, "evaluate_every=0"]), tmp_path / "run", device="cpu")
    assert summary.recipe["regime"]["attack"]["name"] == "own_attack:Momentum"


@pytest.mark.parametrize("regime", [Plain(), Symmetric(), Mixed(), Replace()], ids=lambda regime: regime.name)
def test_regimes_in_a_loop_of_ones_own(regime: Regime) -> None:
    logged = runpy.run_path(str(EXAMPLES / "regimes_in_your_loop.py"))["main"](regime, rounds=20)
    assert ("attack_real_size" in logged) == (regime.name != "plain")
