"""Fine-tuning: any labelled game's discriminator becomes a classifier, with the weights that it computes with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from sparring.attacks import PGD
from sparring.classifier.finetune import finetuning
from sparring.classifier.load import load_classifier
from sparring.classifier.state import ClassifierState
from sparring.core.errors import UsageError
from sparring.core.pieces import members
from sparring.data import prepare
from sparring.gan.load import LoadedGAN, load_gan
from sparring.networks import Branch
from sparring.recipes import ClassifierRecipe, load
from sparring.regimes import Regime
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

CPU = torch.device("cpu")
SHORT = ["steps=1", "batch_size=8"]
Play = Callable[..., Path]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    """Trains a game of two rounds on the digits and returns its folder."""

    def run(*overrides: str) -> Path:
        keys = ["generator={name: mlp, latent: 4, hidden: [8]}", "generator.conditional=true", "lipschitz=none"]
        keys += ["data=digits", "discriminator={name: mlp, hidden: [8]}", "batch_size=8", "steps=2", "replicas=1"]
        path = tmp_path / f"game-{len(list(tmp_path.iterdir()))}"
        quiet = ["evaluate_every=0", "sample_every=0"]
        train(load("dishonest/ring-small", [*keys, *quiet, *overrides]), path, device="cpu")
        return path

    return run


def state_of(path: Path, *overrides: str, game: int = 0) -> ClassifierState:
    """The classifier that a game's discriminator becomes, before its first round."""
    recipe = finetuning(RunFolder.open(path), game=game, overrides=[*SHORT, *overrides]).recipe
    return ClassifierState.build(recipe, recipe.data.open(CPU), CPU)


def logits_agree(state: ClassifierState, networks: LoadedGAN) -> bool:
    """Whether the classifier has the class logits of D's head."""
    samples = state.source.batch(0, 8, state.streams).samples
    with torch.no_grad():
        verdict = networks.networks.discriminator.eval()(samples)
        return torch.allclose(state.network.eval()(samples), verdict.classes, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("discriminator", "lipschitz"),
    [
        ("{name: mlp, hidden: [8]}", "spectral_norm"),
        ("{name: mnist, width: 4}", "none"),
        ("{name: mnist, width: 4}", "spectral_norm"),
        ("{name: trunk, classifier: {name: small_resnet, width: 2}}", "none"),
    ],
)
def test_a_branch_has_the_logits_of_its_auxiliary_head(discriminator: str, lipschitz: str, play: Play) -> None:
    keys = [f"discriminator={discriminator}", "discriminator.head=auxiliary", "class_loss=split"]
    path = play(*keys, f"lipschitz={lipschitz}")
    assert logits_agree(state_of(path), load_gan(RunFolder.open(path), "cpu"))


@pytest.mark.parametrize("head", ["source", "projection"])
def test_a_head_without_classes_gives_its_trunk_and_a_note(head: str, play: Play) -> None:
    path = play(f"discriminator.head={head}", "lipschitz=spectral_norm")
    state, networks = state_of(path), load_gan(RunFolder.open(path), "cpu").networks
    samples = state.source.batch(0, 8, state.streams).samples
    with torch.no_grad():
        torch.testing.assert_close(state.network.extract(samples).features, networks.discriminator.trunk(samples))
    assert any("fresh class layer" in note for note in finetuning(RunFolder.open(path)).notes)
    drawn = ClassifierState(state.recipe, state.source, CPU).network
    assert torch.equal(state.network.output.weight, drawn.output.weight)


def test_one_of_packed_games_is_chosen(play: Play) -> None:
    game, keys = 2, ["discriminator.head=auxiliary", "class_loss=split", "ema=0.5"]
    path = play("replicas=3", *keys)
    packed = load_gan(RunFolder.open(path), "cpu")
    state = state_of(path, game=game)
    assert logits_agree(state, packed.game(game))
    assert not logits_agree(state, packed.game(1))
    sampler = packed.game(game).networks.sampler
    mine, theirs = state.fakes[0].network.state_dict(), sampler.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    with pytest.raises(UsageError, match="game 3: the run has 3"):
        state_of(path, game=3)


@pytest.mark.parametrize("regime", sorted(members(Regime)))
def test_the_attack_is_the_games_own(regime: str, play: Play) -> None:
    made = finetuning(RunFolder.open(play(f"regime={regime}"))).recipe
    own = getattr(members(Regime)[regime](), "attack", PGD(steps=5))
    assert made.attack == (own if own.ball.limited else PGD(steps=5))  # DAT's step has no ball to stay in
    assert ClassifierState.build(made, made.data.open(CPU), CPU).fakes


def test_the_recipe_is_the_published_one_on_the_games_data(play: Play) -> None:
    path = play("precision=bf16", "seed=7", "data.augment=[{name: flip}]")
    recipe, notes = finetuning(RunFolder.open(path))
    assert not [note for note in notes if "unconditional" in note]
    game = RunFolder.open(path).game_recipe()
    assert (recipe.data, recipe.precision, recipe.seed) == (game.data, "bf16", 7)
    assert recipe.classifier == Branch(discriminator=game.discriminator)
    assert recipe.fakes and recipe.start
    assert (recipe.fakes.run, recipe.fakes.weight, recipe.start.run) == (str(path), 0.5, str(path))
    assert (recipe.batch_size, recipe.steps) == (128, 60 * 1437 // 128)
    assert recipe.optimizer.model_dump()["beta1"] == 0.9
    rates = [recipe.optimizer.lr * recipe.optimizer.schedule.factor(epoch / 60) for epoch in (0, 19, 20, 40, 50, 59)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-6])
    assert finetuning(RunFolder.open(path), overrides=["fakes.weight=0.3"]).recipe.fakes.weight == 0.3  # type: ignore[union-attr]


def test_an_unconditional_generator_is_left_out_with_a_note(play: Play) -> None:
    path = play("generator.conditional=false")
    recipe, notes = finetuning(RunFolder.open(path))
    assert recipe.fakes is None
    assert any("unconditional" in note and "lambda = 0" in note for note in notes)
    with pytest.raises(UsageError, match="its generator is unconditional"):
        state_of(path, f"fakes={{run: {path}, weight: 0.5}}")


def test_a_game_on_data_without_labels_has_no_class_to_tune_for(play: Play, tmp_path: Path) -> None:
    np.savez(tmp_path / "grey.npz", x=np.zeros((20, 8, 8), np.uint8))
    prepare(str(tmp_path / "grey.npz"), tmp_path / "store")
    path = play(f"data={tmp_path / 'store'}", "generator.conditional=false")
    with pytest.raises(UsageError, match="have no labels"):
        finetuning(RunFolder.open(path))


def test_finetune_command(play: Play, sparring: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    game, out = play("discriminator.head=auxiliary", "class_loss=split"), tmp_path / "tuned"
    code, printed, noted = sparring("finetune", game, "--out", out, "--device", "cpu", "steps=3", "evaluate_every=2")
    assert code == 0 and (out / "recipe.yaml").is_file()
    assert "was trained against no attack with a budget in a ball" in noted
    assert printed.startswith("The classifier keeps")
    assert f"report: {out / 'report.html'}" in printed
    recipe = RunFolder.open(out).recipe()
    assert isinstance(recipe, ClassifierRecipe)
    assert load_classifier(RunFolder.open(out), "cpu").step == 3
    assert sparring("verify", out)[0] == 0
    code, printed, _ = sparring("evaluate", out, "--samples", 20, "--device", "cpu", "--json")
    assert code == 0
    assert "accuracy_train" in json.loads(printed)["metrics"]
    refused = [
        ("sample", out),
        ("attack-endurance", out),
        ("finetune", out, "--out", tmp_path / "x"),
    ]
    for command in refused:
        code, _, error = sparring(*command)
        assert code == 2, command
        assert "trains a classifier, so there is no generator" in error


def test_an_attack_without_a_budget_is_not_inherited(play: Play) -> None:
    made = finetuning(RunFolder.open(play("regime={name: replace, attack: {name: pgd, epsilon: 0}}")))
    assert made.recipe.attack == PGD(steps=5)
    assert any("was trained against no attack" in note for note in made.notes)
