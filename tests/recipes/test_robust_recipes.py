"""The recipes of robust training: what they share, what is published, and a round of every one at reduced width."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_layouts import images
from sparring.attacks import GradientAttack
from sparring.data import Selection, prepare
from sparring.recipes import ClassifierRecipe, load, recipe_names, require_classifier
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

NAMES = [name for name in recipe_names() if name.startswith("robust/")]
SHAPES = {"stores/mnist": (28, 28, 1), "stores/cifar10": (32, 32, 3), "stores/cifar10-generated": (32, 32, 3)}
SHORT = ["steps=1", "batch_size=4", "evaluate_every=0", "checkpoint_every=1", "log_every=1"]
SMALL = {
    "preact_resnet18": ["classifier.width=1"],
    "small_cnn": ["classifier.width=2"],
    "wide_resnet": ["classifier.width=1", "classifier.depth=10"],
    "branch": [],
}


def recipe(name: str) -> ClassifierRecipe:
    return require_classifier(load(f"robust/{name}"), name)


def attack_of(name: str) -> GradientAttack:
    attack = recipe(name).attack
    assert isinstance(attack, GradientAttack)
    return attack


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """By the path in a recipe a store of ten small classes in the same shape."""
    root, made = tmp_path_factory.mktemp("data"), dict[str, Path]()

    def store(path: str) -> Path:
        if path not in made:
            np.savez(root / "source.npz", x=images(30, *SHAPES[path]), y=np.arange(30) % 10)
            made[path] = root / Path(path).name
            prepare(str(root / "source.npz"), made[path], selection=Selection(test_fraction=0))
        return made[path]

    return store


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_trains_a_round(name: str, stores: Callable[[str], Path], tmp_path: Path) -> None:
    values: dict[str, Any] = load(name).model_dump(mode="json")
    keys = [*SHORT, *SMALL[values["classifier"]["name"]], "selection={every: 1, samples: 5, attack_steps: 1}"]
    if values["data"]["name"] == "store":
        keys.append(f"data.path={stores(values['data']['path'])}")
    if values["fakes"] and values["fakes"]["data"]:
        keys.append(f"fakes.data.path={stores(values['fakes']['data']['path'])}")
    if values["fakes"] and values["fakes"]["run"]:
        game = ["steps=1", "batch_size=4", "evaluate_every=0", "sample_every=0", "generator.width=1"]
        game += ["discriminator.width=1", "critic_steps=1", f"data.path={stores('stores/cifar10')}"]
        train(load("robgan/cifar10", game), tmp_path / "game", device="cpu")
        keys.append(f"fakes.run={tmp_path / 'game'}")
    train(load(name, keys), tmp_path / "run", device="cpu")
    assert RunFolder.open(tmp_path / "run").rows()[-1]["step"] == 1


def test_the_digits_differ_in_the_method_alone() -> None:
    plain = recipe("digits-plain").model_dump(mode="json")
    method = {"description", "attack", "loss", "free", "ema"}
    for name in ("pgd", "fast", "free", "trades", "trades-averaged"):
        other = recipe(f"digits-{name}").model_dump(mode="json")
        assert {key for key in plain if plain[key] != other[key]} <= method, name
        assert other["attack"]["epsilon"] == 0.15


def test_fast_training_has_the_published_settings() -> None:
    """Wong, Rice, Kolter 2020: step 1.25 epsilon, uniform start; 15 epochs with a peak of 0.2 after 6 of them."""
    for name, epsilon in (("cifar10-fast", 8 / 255), ("digits-fast", 0.15), ("mnist-fast", 0.3)):
        attack = attack_of(name)
        assert (attack.steps, attack.start.name) == (1, "random")
        assert attack.epsilon == pytest.approx(epsilon)
        assert attack.step_length == pytest.approx(1.25 * epsilon)
    fast = recipe("cifar10-fast")
    assert fast.steps == pytest.approx(15 * 49_000 / 128, abs=1)
    rates = [fast.optimizer.lr * fast.optimizer.schedule.factor(epoch / 15) for epoch in (0, 3, 6, 10.5, 15)]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.1, 0.0])
    assert fast.selection is not None
    assert fast.selection.every == pytest.approx(49_000 / 128, abs=1)


def test_the_state_of_the_art_has_the_published_settings() -> None:
    """Wang et al. 2023: TRADES beta 5, 70 % generated, label smoothing 0.1, mean 0.995, weight decay 5e-4, SiLU."""
    wide = recipe("cifar10-wrn-28-10-generated").model_dump(mode="json")
    assert wide["loss"] == {"name": "trades", "beta": 5.0, "label_smoothing": 0.1}
    assert (wide["fakes"]["share"], wide["ema"], wide["batch_size"]) == (0.7, 0.995, 512)
    assert wide["classifier"]["depth"] == 28
    assert (wide["classifier"]["width"], wide["classifier"]["activation"]) == (10, "silu")
    assert (wide["optimizer"]["weight_decay"], wide["optimizer"]["nesterov"]) == (5e-4, True)
    assert wide["selection"]["samples"] == 1000
