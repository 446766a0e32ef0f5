"""The worst case over threats and the calls of a training: against exact robustness, and counted by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from torch import nn

from robust_classifiers import robust_recipe
from sparring.claims.measures import Measure, worst_case_accuracy
from sparring.claims.values import PlayedGame
from sparring.core.randomness import Rng
from sparring.report.read import read_run
from sparring.robustness.targets import target_of
from sparring.runs.folder import RunFolder
from sparring.training.loop import train


def measured(game: PlayedGame, name: str, **settings: object) -> Any:
    return Measure.validated({"name": name, **settings}, "test", "").of(game)


def test_the_worst_case_of_a_linear_classifier_is_exact(
    trained_classifier: PlayedGame, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, network = Rng.of(0), nn.Linear(16, 2).requires_grad_(False)
    network.weight.copy_(rng.normal((2, 16)))
    network.bias.zero_()
    x, labels = rng.uniform((200, 16), -0.2, 0.2), rng.integers((200,), 2)
    logits = network(x)
    margin = (logits.gather(1, labels[:, None]) - logits.gather(1, 1 - labels[:, None]))[:, 0]
    exact = margin / (network.weight[0] - network.weight[1]).abs().sum() / 2  # [-1, 1]: 2 epsilon of it
    target = target_of(network, x, labels, low=-1.0, high=1.0)
    monkeypatch.setattr(worst_case_accuracy, "opened_target", lambda *_: target)
    for epsilon in (0.01, 0.03):
        found = measured(trained_classifier, "worst_case", epsilon=epsilon, threats="apgd-ce,other-norm")
        assert found == pytest.approx(float((exact > epsilon).double().mean()))


def test_the_worst_case_is_below_one_attack_and_says_what_was_tried(trained_classifier: PlayedGame) -> None:
    settings: dict[str, Any] = {"name": "worst_case", "epsilon": 0.1, "threats": "fgsm,apgd-ce", "samples": 100}
    measure = Measure.validated(settings, "test", "")
    worst = measure.of(trained_classifier)
    single = measured(trained_classifier, "robust_accuracy", unit="[0, 1]", epsilon=0.1, samples=100)
    assert isinstance(worst, float) and 0 < worst <= single
    assert "L-infinity epsilon 0.1 of [0, 1]: PGD-20 x 2, FGSM, APGD-CE; at most 100" in measure.protocol(
        trained_classifier
    )


TRADES = "attack={name: pgd, epsilon: 0.1, steps: 3, start: gaussian}"


@pytest.mark.parametrize(
    ("overrides", "calls"),
    [
        (["attack=none"], 1),
        (["attack={name: pgd, epsilon: 0.1, steps: 3}"], 3 + 1),
        ([TRADES, "loss={name: trades, beta: 6}"], 1 + 3 + 2),  # p of the clean sample, the attack, both terms
        (["free={replays: 4}"], 1),
        (["attack={name: pgd, epsilon: 0.1, steps: 3}", "weight_perturbation={name: awp, gamma: 0.01}"], 3 + 2),
    ],
)
def test_calls_of_a_round_are_those_of_the_method(overrides: list[str], calls: int, tmp_path: Path) -> None:
    train(robust_recipe("steps=1", *overrides), tmp_path / "run", device="cpu")
    game = PlayedGame(0, read_run(RunFolder.open(tmp_path / "run")))
    assert measured(game, "network_calls") == calls
