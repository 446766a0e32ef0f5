"""Lemmas 1 and 4 as computations: their numbers, and wrong lemmas that they refuse."""

from __future__ import annotations

import math

import pytest
import torch

from sparring.claims.computations.optimal_discriminators import FlippedLog, OddOptimum
from sparring.objectives import Cubic, Log, Sine
from sparring.theory.finite_games import lemma_1

MODULE = "sparring.claims.computations.optimal_discriminators"


@pytest.mark.parametrize("flip", [0.01, 0.4])
def test_the_lemma_on_the_flipped_log(flip: float) -> None:
    found = FlippedLog(flip=flip).compute(3)
    assert found["difference"] < 1e-12
    assert found["at_data"] == pytest.approx(-math.log(4))
    assert found["fall"] == pytest.approx(1)
    assert found["divergence"] == pytest.approx(1)
    assert found["honest_excess"] > 0


def test_a_wrong_closed_form_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{MODULE}.lemma_1", lambda p, q, flip: lemma_1(p, q, 0.9 * flip))
    assert FlippedLog().compute(3)["difference"] > 1e-3


@pytest.mark.parametrize("objective", [Cubic(), Sine()])
def test_the_best_of_an_odd_objective_is_certain(objective: Cubic | Sine) -> None:
    found = OddOptimum(objective=objective).compute(3)
    assert found == {"misplaced": 0, "advantage": pytest.approx(0, abs=1e-12), "tie_range": pytest.approx(0, abs=1e-12)}


def test_the_best_of_the_log_is_not() -> None:
    found = OddOptimum(objective=Log()).compute(3)
    assert found["misplaced"] == 1
    assert found["advantage"] > 1
    assert found["tie_range"] > 1


def test_a_wrong_optimum_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{MODULE}.optimal_odd", lambda p, q: torch.zeros_like(p))
    assert OddOptimum().compute(3)["advantage"] > 0.01
