"""The distance of generated samples from D's boundary, against the exact one of a linear D."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sparring.claims.measures.boundary_distance import BoundaryDistance
from sparring.claims.values import PlayedGame
from sparring.core.randomness import Rng
from sparring.robustness.targets import target_of


def test_the_mean_distance_is_that_of_a_linear_discriminator(
    robgan_games: tuple[PlayedGame, PlayedGame], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = Rng.of(1)
    network = nn.Linear(16, 2).requires_grad_(False)
    weight = rng.normal((16,))
    network.weight.copy_(torch.stack([-weight, weight]) / 2)  # logits (-s/2, s/2) of the score s
    network.bias.copy_(torch.tensor([0.5, -0.5]))
    samples, labels = rng.uniform((400, 16), -0.2, 0.2), torch.arange(400) % 2
    target = target_of(network, samples, labels, low=-1.0, high=1.0)
    monkeypatch.setattr("sparring.claims.measures.boundary_distance.opened_target", lambda *_: target)
    score = samples @ weight - 1
    exact = -score[(labels == 0) & (score < 0)] / weight.abs().sum() / 2
    largest = 0.06
    found = BoundaryDistance(largest=largest, sizes=60).of(robgan_games[0])
    assert found == pytest.approx(float(exact.clamp(max=largest).mean()), abs=1e-3)
    assert float(exact.max()) > largest > float(exact.mean())


def test_a_discriminator_that_recognises_none_has_no_distance(
    robgan_games: tuple[PlayedGame, PlayedGame], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = nn.Linear(16, 2).requires_grad_(False)
    network.weight.zero_()
    network.bias.copy_(torch.tensor([-1.0, 1.0]))
    target = target_of(network, torch.zeros(4, 16), torch.tensor([0, 1, 0, 1]), low=-1.0, high=1.0)
    monkeypatch.setattr("sparring.claims.measures.boundary_distance.opened_target", lambda *_: target)
    assert BoundaryDistance().of(robgan_games[0]) is None


def test_of_a_real_game_it_lies_between_nothing_and_the_largest(robgan_games: tuple[PlayedGame, PlayedGame]) -> None:
    found = BoundaryDistance(samples=100, sizes=4).of(robgan_games[1])
    assert found is not None
    assert 0 < found < 0.5
