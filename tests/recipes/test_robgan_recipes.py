"""Rob-GAN's recipes: the settings that its papers and codes publish, and a round of every one at reduced width."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from data_layouts import images
from sparring.attacks import GradientAttack
from sparring.data import Selection, prepare
from sparring.recipes import ClassifierRecipe, Recipe, load, recipe_names, require_classifier, require_game
from sparring.regimes import AdversarialRegime
from sparring.runs.checkpoint import read_checkpoint
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

NAMES = [name for name in recipe_names() if name.startswith("robgan/")]
SHAPES = {
    "stores/mnist": (10, 28, 28, 1),
    "path/to/images": (3, 16, 16, 3),
    "stores/cifar10": (10, 32, 32, 3),
    "stores/imagenet143-64": (143, 64, 64, 3),
    "stores/imagenet143-128": (143, 128, 128, 3),
}
SHORT = ["steps=1", "batch_size=2", "evaluate_every=0", "checkpoint_every=1", "log_every=1"]
NARROW = {"robgan_resnet": 1, "sngan_resnet": 1, "mnist": 2, "vgg16": 1, "preact_resnet18": 1, "dcgan": 2}
"""The smallest widths, by the name of a network."""


def game(name: str) -> Recipe:
    return require_game(load(f"robgan/{name}"), name)


def classifier(name: str) -> ClassifierRecipe:
    return require_classifier(load(f"robgan/{name}"), name)


def attack_of(recipe: Recipe) -> GradientAttack:
    assert isinstance(recipe.regime, AdversarialRegime)
    assert isinstance(recipe.regime.attack, GradientAttack)
    return recipe.regime.attack


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """By the path in a recipe a store of one sample a class in the same shape."""
    root, made = tmp_path_factory.mktemp("data"), dict[str, Path]()

    def store(path: str) -> Path:
        if path not in made:
            classes, *shape = SHAPES[path]
            np.savez(root / "source.npz", x=images(classes, *shape), y=np.arange(classes))
            made[path] = root / Path(path).name
            prepare(str(root / "source.npz"), made[path], selection=Selection(test_fraction=0))
        return made[path]

    return store


@pytest.fixture(scope="module")
def trained(stores: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., RunFolder]:
    """Trains a recipe for one round at the smallest width, once, after the runs that it starts from."""
    root, made = tmp_path_factory.mktemp("runs"), dict[tuple[str, ...], RunFolder]()

    def train_once(name: str, *more: str) -> RunFolder:
        if (name, *more) not in made:
            recipe = load(name)
            keys = [*SHORT, *narrow(recipe), *more]
            values = recipe.model_dump(mode="json")
            if values["data"]["name"] == "store":
                keys.append(f"data.path={stores(values['data']['path'])}")
            for key in ("start", "fakes"):
                if values.get(key):
                    parent = values[key]["run"].replace("runs/robgan-", "robgan/")
                    keys.append(f"{key}.run={train_once(parent).path}")
            out = root / f"{len(made)}"
            train(load(name, keys), out, device="cpu")
            made[name, *more] = RunFolder.open(out)
        return made[name, *more]

    return train_once


def narrow(recipe: Recipe | ClassifierRecipe) -> list[str]:
    """The overrides for the narrowest networks."""
    if isinstance(recipe, Recipe):
        players = {"generator": recipe.generator.name, "discriminator": recipe.discriminator.name}
        return [
            "critic_steps=1",
            "sample_every=0",
            *(f"{key}.width={NARROW[each]}" for key, each in players.items() if each in NARROW),
        ]
    values = recipe.model_dump(mode="json")["classifier"]
    inner = values.get("discriminator", {}).get("name")
    if inner in NARROW:
        return [f"classifier.discriminator.width={NARROW[inner]}"]
    return [f"classifier.width={NARROW[values['name']]}"] if values["name"] in NARROW else []


def weights(run: RunFolder) -> dict[str, torch.Tensor]:
    tensors = read_checkpoint(run.saved()[-1]).tensors
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("watch/")}


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_trains_a_round(name: str, trained: Callable[..., RunFolder]) -> None:
    run = trained(name)
    rows = run.rows()
    assert rows[-1]["step"] == 1
    assert all(tensor.isfinite().all() for tensor in weights(run).values() if tensor.is_floating_point())


def test_recipes_of_figure_8_differ_only_in_loss_and_attack() -> None:
    for data in ("digits", "mnist", "cifar10", "imagenet143-64", "imagenet143-128"):
        whole = game(data).model_dump(mode="json")
        for suffix, loss, regime in (
            ("-ac", "ac", "replace"),
            ("-no-attack", "split", "plain"),
            ("-acgan", "ac", "plain"),
        ):
            other = game(data + suffix).model_dump(mode="json")
            assert (other["class_loss"]["name"], other["regime"]["name"]) == (loss, regime)
            assert {key for key in whole if whole[key] != other[key]} <= {"description", "class_loss", "regime"}
        assert (whole["class_loss"]["name"], whole["regime"]["name"]) == ("split", "replace")


@pytest.mark.parametrize("data", ["cifar10", "imagenet143-64", "imagenet143-128"])
def test_rob_gan_on_the_networks_of_sn_gan_differs_in_head_loss_and_attack(data: str) -> None:
    baseline, ours = (game(f"{data}-sngan{suffix}") for suffix in ("", "-networks"))
    first, second = baseline.model_dump(mode="json"), ours.model_dump(mode="json")
    differing = {key for key in first if first[key] != second[key]}
    assert differing == {"description", "discriminator", "objective", "class_loss", "lipschitz", "regime"}
    assert first["discriminator"] | {"head": second["discriminator"]["head"]} == second["discriminator"]
    assert attack_of(ours) == attack_of(game(data))
    assert (second["class_loss"]["name"], second["lipschitz"]["name"]) == ("split", "none")


def test_epsilon_zero_is_ac_gan(trained: Callable[..., RunFolder]) -> None:
    """The same weights: an attack has no side effects."""
    name = "robgan/cifar10"
    zero, plain = (
        weights(trained(f"{name}-ac", "regime.attack.epsilon=0", "steps=2")),
        weights(trained(f"{name}-acgan", "steps=2")),
    )
    assert zero.keys() == plain.keys()
    assert all(torch.equal(zero[key], plain[key]) for key in zero)
    attacked = weights(trained(f"{name}-ac", "steps=2"))
    assert any(not torch.equal(attacked[key], plain[key]) for key in plain)


def test_a_fine_tuned_classifier_has_the_network_of_the_co_trained_d() -> None:
    for data in ("digits", "mnist", "cifar10", "imagenet143-64"):
        spec = game(data).discriminator.model_dump(mode="json")
        for suffix in ("classifier", "adversarial-training", "finetuned"):
            recipe = classifier(f"{data}-{suffix}").model_dump(mode="json")
            inner = recipe["classifier"]["discriminator"] | {"head": spec["head"]}
            assert inner == spec
            assert recipe["attack"]["name"] == ("none" if suffix == "classifier" else "pgd")
            assert bool(recipe["fakes"]) == bool(recipe["start"]) == (suffix == "finetuned")
        attack = classifier(f"{data}-adversarial-training").attack
        assert attack == attack_of(game(data)) == classifier(f"{data}-finetuned").attack


@pytest.mark.parametrize(
    ("data", "images_seen"), [("digits", 64 * 5000), ("mnist", 64 * 8000), ("cifar10", 13_000_000)]
)
def test_baselines_see_as_many_real_samples(data: str, images_seen: int) -> None:
    co, fine = game(data), classifier(f"{data}-finetuned")
    seen = co.steps * co.critic_steps * co.batch_size + fine.steps * fine.batch_size
    long = classifier(f"{data}-adversarial-training{'-long' if data == 'cifar10' else ''}")
    assert seen == pytest.approx(images_seen, rel=1e-3)
    assert long.steps * long.batch_size == pytest.approx(seen, rel=1e-4)


def test_the_published_attack_does_not_reach_its_edge() -> None:
    published = attack_of(game("cifar10-published"))
    reach = published.steps * published.step_length
    assert (2 * published.epsilon, 2 * reach) == (pytest.approx(0.0625), pytest.approx(0.039))
    assert any("never the edge" in remark for remark in published.remarks())
    for name in ("cifar10", "imagenet143-64", "imagenet143-64-published", "mnist", "digits"):
        assert not any("never the edge" in remark for remark in attack_of(game(name)).remarks())


def test_published_hyper_parameters() -> None:
    epochs = {"cifar10": 50_000, "imagenet143-64": 180_373, "imagenet143-128": 180_373}
    for name, count in epochs.items():
        recipe = game(name)
        assert (recipe.batch_size, recipe.critic_steps, recipe.generator.latent) == (64, 5, 128)
        assert recipe.steps == pytest.approx(200 * count / 64 / 5, abs=1)
        for optimizer in (recipe.optimizers.generator, recipe.optimizers.discriminator):
            values = optimizer.model_dump()
            assert (values["lr"], values["beta1"], values["beta2"]) == (2e-4, 0.0, 0.9)
            rates = [optimizer.schedule.factor(epoch / 200) for epoch in (0, 49, 50, 99, 100, 149, 150, 199)]
            assert rates == [1, 1, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    assert 2 * attack_of(game("imagenet143-64")).epsilon == pytest.approx(0.03125)
    schedules = {"cifar10": (50_000, 0), "imagenet143-64": (250_000, 200_000), "imagenet143-128": (450_000, 400_000)}
    for name, (steps, start) in schedules.items():
        recipe = game(f"{name}-sngan")
        factor = recipe.optimizers.discriminator.schedule.factor
        assert recipe.steps == steps
        assert factor(start / steps) == pytest.approx(1, abs=1e-3)
        assert factor((start + steps) / 2 / steps) == pytest.approx(0.5, abs=1e-3)
