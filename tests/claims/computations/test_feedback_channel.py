"""Figure 1 and equation (3.4) as computations: their numbers, and channels that they refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from torch import Tensor

from sparring.claims.computations.feedback_channel import FeedbackDraws, FeedbackFlow
from sparring.core.randomness import Rng
from sparring.feedback import Flipping, HonestFeedback, PerSample
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.objectives import Linear, Sine


def test_draws_have_the_expectation() -> None:
    found = [FeedbackDraws(objective=Sine()).compute(seed) for seed in range(6)]
    for name in ("payoff", "slope"):
        assert sum(each[name] for each in found) / 6 == pytest.approx(1, abs=0.15)
    assert all(each["expected"] < 1e-12 for each in found)


def test_biased_draws_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    draws = PerSample.draws
    monkeypatch.setattr(PerSample, "draws", lambda self, score, *, rng: draws(self, score, rng=rng) ** 0.8)
    assert FeedbackDraws().compute(0)["payoff"] > 3


def test_the_adversary_changes_the_gradient_of_g_alone() -> None:
    found = FeedbackFlow(feedback=Flipping(probability=0.4)).compute(0)
    assert found["discriminator"] == 0
    # An odd objective: the expectation over flips is (1 - 2 p) times the honest payoff.
    assert found["generator"] == pytest.approx(0.8, abs=1e-4)
    assert found["error"] < 1e-3


def test_an_adversary_that_reaches_d_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def dishonest_to_d(self: Linear, score: Tensor) -> Tensor:
        return -0.5 * score

    def played(game: GANState, step: int) -> None:
        with monkeypatch.context() as patched:
            if game.recipe.feedback != HonestFeedback():
                patched.setattr(Linear, "fake", dishonest_to_d)
            play_round(game, step)

    monkeypatch.setattr("sparring.claims.computations.feedback_channel.play_round", played)
    assert FeedbackFlow().compute(0)["discriminator"] > 1e-6


def test_a_channel_that_passes_no_gradient_through_psi_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def straight(self: Flipping, payoff: Callable[[Tensor], Tensor], score: Tensor, *, rng: Rng) -> Tensor:
        return payoff(score)

    monkeypatch.setattr(Flipping, "transmit", straight)
    found = FeedbackFlow(feedback=Flipping(probability=0.4)).compute(0)
    assert found["error"] > 1
    assert found["generator"] < 1e-6
