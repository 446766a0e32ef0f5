"""Measures of attacked networks, on short runs."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from sparring.attacks import PGD, FiniteDifferences
from sparring.attacks.base import NoAttack
from sparring.claims.measures.moved_output import MovedOutput
from sparring.claims.measures.robust_accuracies import RobustAccuracy
from sparring.claims.measures.under_threat import AccuracyUnder, GradientAgreement, TrainingSeconds
from sparring.claims.measures.worst_case_accuracy import WorstCaseAccuracy
from sparring.claims.values import PlayedGame
from sparring.core.errors import UsageError
from sparring.recipes import load
from sparring.report.read import read_run
from sparring.runs.folder import RunFolder
from sparring.training.loop import train


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    recipe = load("robgan/digits-classifier", ["steps=60", "evaluate_every=60", "checkpoint_every=60"])
    path = tmp_path_factory.mktemp("runs") / "classifier"
    train(recipe, path, device="cpu")
    return PlayedGame(0, read_run(RunFolder.open(path)))


def test_accuracy_falls_under_attack(classifier):
    clean = AccuracyUnder(attack=NoAttack()).of(classifier)
    assert clean == pytest.approx(classifier.trained.metrics["accuracy_test"].value)
    assert AccuracyUnder(attack=PGD(epsilon=0.2)).of(classifier) < clean - 0.2
    assert "pgd" in AccuracyUnder(attack=PGD(epsilon=0.2)).protocol(classifier)


def test_finite_differences_agree_with_the_gradient(classifier):
    assert GradientAgreement(source=FiniteDifferences(), samples=20).of(classifier) > 0.95


def test_seconds_are_those_of_one_game(classifier):
    assert TrainingSeconds().of(classifier) == classifier.trained.seconds
    packed = SimpleNamespace(seconds=20.0, recipe=SimpleNamespace(replicas=10))
    assert TrainingSeconds().of(PlayedGame(0, packed)) == 2


def test_the_output_that_an_attack_moves():
    def metric(value):
        return SimpleNamespace(estimates=(SimpleNamespace(value=0.0), SimpleNamespace(value=value)), protocol="FGSM")

    run = SimpleNamespace(metrics={"probe_d_real": metric(0.75), "probe_d_adversarial": metric(0.5)})
    assert MovedOutput().of(PlayedGame(0, run, 1)) == 0.25
    assert MovedOutput().protocol(PlayedGame(0, run, 1)) == "FGSM"


@pytest.mark.parametrize(
    "measure", [AccuracyUnder(attack=NoAttack()), RobustAccuracy(epsilon=1), WorstCaseAccuracy(epsilon=0.1)]
)
def test_networks_are_measured_on_the_device_of_the_game(classifier, measure):
    with pytest.raises(UsageError, match="device 'cuda:99': this machine has none"):
        measure.of(replace(classifier, device="cuda:99"))
