"""Masked gradients: whoever has none fools more; and what fools with less counts with more."""

from __future__ import annotations

import pytest
import torch

from sparring.core.balls import L2
from sparring.core.randomness import Rng
from sparring.robustness.sanity_checks import gradients_are_strongest
from sparring.robustness.targets import rate, target_of
from sparring.robustness.trials import Trial
from sparring.robustness.worst_case import worst_cases
from sparring.runs.schema import ThreatResult


def trial(kind: str, epsilon: float, correct: list[int]) -> Trial:
    held = torch.tensor(correct, dtype=torch.bool)
    result = ThreatResult(
        name=kind, kind=kind, norm="L-infinity", epsilon=epsilon, scales="", accuracy=rate(held), loss_start=0.0,
        loss_end=1.0, seconds=0.0, forwards=1.0, backwards=1.0,
    )  # fmt: skip
    return Trial(result, held, shown=torch.zeros(0, 1), predicted=torch.zeros(0, dtype=torch.int64))


@pytest.mark.parametrize(
    ("trials", "holds"),
    [
        ([("white-box", 0.1, [1, 0, 1, 0]), ("black-box", 0.1, [1, 1, 1, 0])], True),
        ([("white-box", 0.1, [1, 1, 1, 0]), ("black-box", 0.1, [1, 0, 1, 0])], False),
        ([("white-box", 0.1, [1, 1, 1, 0]), ("transfer", 0.1, [0, 0, 1, 1])], False),
        # Two with gradients count together, and other budgets do not count.
        ([("white-box", 0.1, [1, 1, 0, 0]), ("white-box", 0.1, [0, 1, 1, 0]), ("noise", 0.1, [1, 0, 0, 0])], True),
        ([("white-box", 0.1, [1, 1, 1, 1]), ("black-box", 0.2, [0, 0, 0, 0])], None),
        ([("white-box", 0.1, [1, 1, 1, 1])], None),
    ],
)
def test_whoever_has_gradients_fools_most(trials: list[tuple[str, float, list[int]]], holds: bool | None) -> None:
    assert gradients_are_strongest([trial(*each) for each in trials]).holds is holds


def test_what_fools_with_less_fools_with_more() -> None:
    samples = Rng.of(0).uniform((4, 2))
    target = target_of(torch.nn.Linear(2, 2), samples, torch.zeros(4, dtype=torch.int64))
    rows = list(worst_cases([trial("white-box", 0.2, [1, 1, 0, 1]), trial("black-box", 0.1, [0, 1, 1, 1])], target))
    assert {row.epsilon: row.accuracy.value for row in rows} == {0.2: 0.5, 0.1: 0.75}


@pytest.mark.parametrize("size", [1.0, 1e-14, 1e-30])
def test_a_small_gradient_gives_a_whole_step(size: float) -> None:
    gradient = size * Rng.of(0).normal((3, 5))
    step = L2().steepest(gradient, 0.25, 1)
    torch.testing.assert_close(step.norm(dim=1), torch.full((3,), 0.25))
    torch.testing.assert_close(step / step.norm(dim=1, keepdim=True), L2().steepest(gradient / size, 1.0, 1))
    assert (L2().steepest(torch.zeros(1, 5), 0.25, 1) == 0).all()
