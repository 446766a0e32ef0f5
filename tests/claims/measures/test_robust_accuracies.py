"""Accuracy under PGD: against the exact robustness of a linear classifier, and on the networks of real runs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sparring.attacks import PGD
from sparring.claims.measures import Measure
from sparring.claims.measures.robust_accuracies import epsilon_of, survivors
from sparring.claims.values import PlayedGame, SampledCurve, Value
from sparring.classifier.load import load_classifier
from sparring.core.errors import UsageError
from sparring.core.randomness import Rng
from sparring.gan.load import load_gan
from sparring.robustness.targets import Target, target_of


def measured(game: PlayedGame, name: str, **settings: object) -> Value:
    return Measure.validated({"name": name, **settings}, "test", "").of(game)


def linear_target() -> tuple[Target, Tensor]:
    """A linear classifier of two classes, and the exact epsilon at which each sample is lost."""
    rng = Rng.of(0)
    network = nn.Linear(16, 2)
    network.requires_grad_(False)
    network.weight.copy_(rng.normal((2, 16)))
    network.bias.zero_()
    samples, labels = rng.uniform((200, 16), -0.2, 0.2), rng.integers((200,), 2)
    logits, weight = network(samples), network.weight
    margin = (logits.gather(1, labels[:, None]) - logits.gather(1, 1 - labels[:, None]))[:, 0]
    exact = margin / (weight[0] - weight[1]).abs().sum() / 2  # samples are in [-1, 1]: 2 epsilon of it
    return target_of(network, samples, labels, low=-1.0, high=1.0), exact


@pytest.mark.parametrize("epsilon", [0.0, 0.01, 0.03, 0.1])
def test_survivors_are_those_beyond_the_margin_of_a_linear_classifier(epsilon: float) -> None:
    target, exact = linear_target()
    found = survivors(target, epsilon, steps=20, restarts=1)
    assert torch.equal(found, exact > epsilon)
    assert 0 < exact[exact > 0].min() < 0.01 and exact.max() < 0.1  # the sizes tell samples apart


def test_units_are_multiples_of_the_training_and_ranges() -> None:
    assert epsilon_of(0.5, "training", PGD(epsilon=0.2)) == 0.1
    assert epsilon_of(0.5, "[-1, 1]", None) == 0.25
    assert epsilon_of(0.5, "[0, 1]", None) == 0.5
    with pytest.raises(UsageError, match="no multiples"):
        epsilon_of(0.5, "training", None)


def test_clean_accuracies_and_gap_are_those_of_a_classifier_on_all_samples(trained_classifier: PlayedGame) -> None:
    loaded = load_classifier(trained_classifier.trained.folder, "cpu")
    test = loaded.data().held_out(360, rng=Rng.of(0))
    with torch.no_grad():
        right = float((loaded.classify(test.samples).argmax(1) == test.labels).double().mean())
    found = {split: measured(trained_classifier, "robust_accuracy", epsilon=0, split=split) for split in SPLITS}
    assert found["test"] == pytest.approx(right)
    assert found["gap"] == pytest.approx(found["train"] - found["test"])
    assert found["train"] != found["test"]


SPLITS = ("test", "train", "gap")


def test_a_curve_has_the_numbers_of_its_epsilons_and_falls(trained_classifier: PlayedGame) -> None:
    sizes = [0, 0.5, 2]
    curve = measured(trained_classifier, "accuracy_over_epsilon", epsilons=sizes, steps=5)
    assert isinstance(curve, SampledCurve)
    single = [measured(trained_classifier, "robust_accuracy", epsilon=size, steps=5) for size in sizes]
    assert curve.x == tuple(sizes)
    assert curve.y == pytest.approx(single, abs=1e-4)
    assert curve.y[0] > curve.y[1] > curve.y[2]


def test_the_class_head_of_each_packed_game_is_measured(robgan_games: tuple[PlayedGame, PlayedGame]) -> None:
    for game in robgan_games:
        gan = load_gan(game.trained.folder, "cpu").game(game.index)
        test = gan.data().held_out(360, rng=Rng.of(0))
        with torch.no_grad():
            logits = gan.networks.discriminator.eval()(test.samples).classes
        right = float((logits.argmax(1) == test.labels).double().mean())
        assert measured(game, "robust_accuracy", epsilon=0) == pytest.approx(right)
