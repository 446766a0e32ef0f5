"""Adversarial training of classifiers: equation (6) by hand, resuming, what is frozen stays so, what is measured."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.attacks import PGD, main_attack
from sparring.classifier.load import load_classifier
from sparring.classifier.state import ClassifierState
from sparring.classifier.step import attacked, train_step
from sparring.core.errors import UsageError
from sparring.core.process import Progress
from sparring.core.randomness import Streams
from sparring.core.records import InvalidRecord
from sparring.data import Selection, Source, prepare
from sparring.evaluation.evaluate import evaluate
from sparring.evaluation.verify import verify
from sparring.gan.load import load_gan
from sparring.monitoring import classifier_metrics
from sparring.monitoring.classifier_metrics import ClassifierMetrics
from sparring.networks import ClassifierModule
from sparring.recipes import ClassifierRecipe, changed, load, to_yaml, validated
from sparring.report.read import read_run
from sparring.report.run_charts import charts
from sparring.robustness.load import RobustnessOptions
from sparring.robustness.robustness_json import evaluate_robustness
from sparring.runs.folder import RunFolder
from sparring.training.loop import resume, train
from untimed import untimed_rows

CPU = torch.device("cpu")
GAME = (
    "data=digits",
    "generator={name: mnist, latent: 4, width: 4, batch_norm: true, conditional: true}",
    "discriminator={name: mnist, width: 4, head: auxiliary}",
    "class_loss=split",
    "lipschitz=spectral_norm",
    "batch_size=16",
    "steps=3",
    "replicas=1",
    "ema=0.9",
    "sample_every=0",
    "evaluate_every=0",
)
"""A class-conditional game of a moment, with everything that its players can carry."""


def classifier_recipe(*overrides: str) -> ClassifierRecipe:
    """A tiny classifier with batch normalisation on the digits, under two steps without a random start."""
    values: dict[str, Any] = {
        "classifier": {"name": "small_resnet", "width": 2},
        "data": "digits",
        "attack": {"name": "bim", "epsilon": 0.1, "steps": 2, "step_size": 0.06},
        "optimizer": {"name": "sgd", "lr": 0.05},
        "batch_size": 16,
        "steps": 12,
        "log_every": 3,
        "checkpoint_every": 4,
        "evaluate_every": 0,
    }
    recipe = validated(changed(values, list(overrides)), "tiny")
    assert isinstance(recipe, ClassifierRecipe)
    return recipe


def state_of(recipe: ClassifierRecipe) -> ClassifierState:
    """A classifier before its first round."""
    return ClassifierState.build(recipe, recipe.data.open(CPU), CPU)


def source_of(recipe: ClassifierRecipe) -> Source:
    """Its data."""
    return recipe.data.open(CPU)


def copy_of(module: nn.Module) -> dict[str, Tensor]:
    """Weights and buffers, to compare with."""
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def assert_same(state: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Bit for bit."""
    assert state.keys() == other.keys()
    assert [name for name in state if not torch.equal(state[name], other[name])] == []


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a class-conditional game."""
    path = tmp_path_factory.mktemp("games") / "game"
    train(load("dishonest/ring-small", list(GAME)), path, device="cpu")
    return path


def fakes(game: Path, weight: float) -> str:
    """The override that trains on a game's generator."""
    return f"fakes={{run: {game}, weight: {weight}}}"


def by_hand(network: ClassifierModule, x: Tensor, y: Tensor, attack: bool) -> Tensor:
    """The cross-entropy on a batch, moved by two steps of 0.06 of [0, 1] within 0.1."""
    network.eval()
    adversarial = x.clone()
    for _ in range(2 if attack else 0):
        leaf = adversarial.clone().requires_grad_()
        (slope,) = torch.autograd.grad(F.cross_entropy(network(leaf), y, reduction="sum"), leaf)
        adversarial = adversarial + 2 * 0.06 * slope.sign()
        adversarial = torch.clamp(torch.clamp(adversarial - x, -0.2, 0.2) + x, -1.0, 1.0)
    network.train()
    return F.cross_entropy(network(adversarial), y)


@pytest.mark.parametrize("weight", [0.0, 0.7])
@pytest.mark.parametrize("attack", [True, False])
def test_training_is_equation_6(attack: bool, weight: float, game: Path) -> None:
    overrides = ["seed=5", fakes(game, weight), *([] if attack else ["attack=none"])]
    recipe = classifier_recipe(*overrides)
    state, source, streams = state_of(recipe), source_of(recipe), Streams(5)
    expected = recipe.classifier.build(source.facts.space, (), rng=Streams(5).rng("init/classifier"))
    made = load_gan(RunFolder.open(game), "cpu")
    generator = made.networks.sampler.eval()
    for step in range(4):
        train_step(state, step)
        real = source.batch(step, 16, streams)
        assert real.labels is not None
        by_hand(expected, real.samples, real.labels, attack).backward()  # type: ignore[no-untyped-call]
        if weight:
            codes = made.recipe.generator.draw((16,), source.facts.space, rng=streams.rng("fakes", step))
            assert codes.labels is not None
            with torch.no_grad():
                samples = generator(codes.values)
            statistics = {name: buffer.clone() for name, buffer in expected.named_buffers()}
            (weight * by_hand(expected, samples, codes.labels, attack)).backward()
            for name, buffer in expected.named_buffers():  # running statistics are those of real samples
                assert not torch.equal(buffer, statistics[name])
                buffer.copy_(statistics[name])
        with torch.no_grad():
            for parameter in expected.parameters():
                parameter.add_(parameter.grad, alpha=-0.05)  # type: ignore[arg-type]
                parameter.grad = None
    assert_same(copy_of(state.network), copy_of(expected))
    assert ("loss_fake" in state.log.means()) == bool(weight)


class _Crash(Progress):
    """Dies after some rounds; nothing is saved on the way out."""

    def __init__(self, after: int) -> None:
        self.after = after

    def advance(self, done: int, total: int) -> None:
        if done == self.after:
            raise RuntimeError("killed")


def test_stopped_and_resumed_equals_undisturbed(game: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier_metrics, "main_attack", lambda trained: PGD(steps=1))
    own = tmp_path / "game"
    shutil.copytree(game, own)
    coarse = ("precision=bf16", "criterion=margin", "data.augment=[{name: flip}]")
    recipe = classifier_recipe(fakes(own, 0.5), "evaluate_every=6", *coarse)
    train(recipe, tmp_path / "whole", device="cpu")
    with pytest.raises(RuntimeError, match="killed"):
        train(recipe, tmp_path / "stopped", device="cpu", progress=_Crash(7))
    for folder in (own / "checkpoints").iterdir():
        shutil.rmtree(folder)  # a game that goes on has other weights, or none: the classifier's run keeps its own
    resume(tmp_path / "stopped", device="cpu")
    assert untimed_rows(tmp_path / "stopped") == untimed_rows(tmp_path / "whole")
    tensors = "checkpoints/000000012/tensors.safetensors"
    assert (tmp_path / "stopped" / tensors).read_bytes() == (tmp_path / "whole" / tensors).read_bytes()
    assert len(verify(tmp_path / "stopped")) == 3


def test_a_weight_of_zero_needs_no_generator() -> None:
    with_zero, without = state_of(classifier_recipe("fakes={run: nowhere, weight: 0}")), state_of(classifier_recipe())
    for step in range(3):
        train_step(with_zero, step)
        train_step(without, step)
    assert_same(with_zero.state(), without.state())


def test_the_generator_is_frozen_and_draws_afresh(game: Path) -> None:
    state = state_of(classifier_recipe(fakes(game, 1.0)))
    (generator,) = state.fakes
    assert_same(generator.network.state_dict(), load_gan(RunFolder.open(game), "cpu").networks.sampler.state_dict())
    before = copy_of(generator.network)
    assert any("running_mean" in name for name in before)
    for step in range(3):
        train_step(state, step)
    assert_same(copy_of(generator.network), before)
    assert all(parameter.grad is None for parameter in generator.network.parameters())
    drawn = [next(batch for batch in state.batches(step) if batch.origin == "fake") for step in (0, 1)]
    assert not torch.equal(drawn[0].samples, drawn[1].samples)
    labels = torch.cat([generator.draw(100, state.streams, number).labels for number in range(20)])  # type: ignore[misc]
    assert labels.bincount(minlength=10).sub(200).abs().max() < 60  # uniform: a standard deviation is 13


def test_the_budget_warms_up() -> None:
    state, sizes = state_of(classifier_recipe("warmup={start: 1, end: 3}")), []
    for step in range(4):
        train_step(state, step)
        sizes.append(state.log.means()["attack_real_size"])
    assert sizes == pytest.approx([0.0, 0.0, 0.05, 0.1], abs=1e-6)


def test_the_rate_follows_its_schedule() -> None:
    state = state_of(classifier_recipe("optimizer.schedule={name: steps, after: [0.25], drop: 0}"))  # of 12 rounds
    moved = []
    for step in range(5):
        before = state.network.output.weight.detach().clone()  # type: ignore[operator, union-attr]
        train_step(state, step)
        moved.append(not torch.equal(before, state.network.output.weight))  # type: ignore[arg-type]
    assert moved == [True, True, True, False, False]


def test_the_attack_ascends_the_criterion() -> None:
    batches = list(state_of(classifier_recipe()).batches(0))
    found = [attacked(state_of(classifier_recipe(f"criterion={name}")), *batches, 0) for name in ("margin", "dlr")]
    assert not torch.equal(*found)


def test_the_summary_of_a_run(tmp_path: Path) -> None:
    recipe = classifier_recipe("evaluate_every=4", "optimizer.lr=0.2")
    summary = train(recipe, tmp_path / "run", device="cpu")
    run = RunFolder.open(tmp_path / "run")
    rows = [row for row in run.rows() if "loss" in row]
    assert run.recipe() == recipe
    assert {"loss", "loss_real", "accuracy_real", "gradient_classifier", "attack_real_size"} < rows[0].keys()
    names = [f"{name}_{kind}" for kind in ("test", "train") for name in ("accuracy", "robust_accuracy", "llv")]
    measured = [row for row in rows if "llv_test" in row]
    assert [row["step"] for row in measured] == [4, 8, 12]
    assert set(summary.metrics) == {*names, *(f"{name}_best" for name in names)}
    best = max(measured, key=lambda row: row["robust_accuracy_test"])
    for name in names:
        final, chosen = summary.metrics[name], summary.metrics[f"{name}_best"]
        assert (final.value, chosen.value) == (measured[-1][name], best[name])
        assert ("training" if "train" in name else "held-out") in final.protocol
        assert f"round {best['step']}" in chosen.protocol
        assert (final.interval is None) == ("llv" in name)
    low, high = summary.metrics["robust_accuracy_test"].interval
    assert low < measured[-1]["robust_accuracy_test"] < high
    loaded = load_classifier(run, "cpu")
    assert (loaded.step, loaded.space, loaded.network.training) == (12, source_of(recipe).facts.space, False)
    fresh = evaluate(tmp_path / "run", samples=50, device="cpu")
    assert set(fresh.metrics) == set(names)
    assert "50 held-out samples" in fresh.metrics["accuracy_test"].protocol


def test_nothing_is_called_test_without_held_out_images(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "grey.npz", x=rng.integers(0, 256, (40, 8, 8), np.uint8), y=np.arange(40) % 2)
    prepare(str(tmp_path / "grey.npz"), tmp_path / "all", selection=Selection(test_fraction=0))
    summary = train(classifier_recipe(f"data={tmp_path / 'all'}", "evaluate_every=6"), tmp_path / "run", device="cpu")
    assert set(summary.metrics) == {"accuracy_train", "robust_accuracy_train", "llv_train"}
    assert "40 training samples" in summary.metrics["robust_accuracy_train"].protocol
    assert "right of 40 training images after 12 rounds; nothing is held out to judge it by" in summary.verdict
    rows = RunFolder.open(tmp_path / "run").rows()
    assert not any("_test" in name or "held-out" in name for row in rows for name in row)
    drawn = {chart.title: chart for chart in charts(read_run(RunFolder.open(tmp_path / "run")), "x")}
    accuracy = drawn["Accuracy, training samples"]
    assert [curve.label for curve in accuracy.curves] == ["training samples"]
    assert "training samples alone" in accuracy.caption
    assert evaluate(tmp_path / "run", samples=20, device="cpu").metrics.keys() == summary.metrics.keys()
    told = evaluate_robustness(tmp_path / "run", RobustnessOptions(threats="fgsm", samples=20), device="cpu").targets[0]
    assert (told.headline, told.evaluated_on) == (None, "training")
    assert [flag for flag in told.flags if flag.startswith("the samples are held out: 20 training samples")]

    held = Selection(test_fraction=0.5)
    prepare(str(tmp_path / "grey.npz"), tmp_path / "half", selection=held)
    half = classifier_recipe(f"data={tmp_path / 'half'}", "evaluate_every=12")
    assert set(train(half, tmp_path / "other", device="cpu").metrics) > {"accuracy_test", "robust_accuracy_test_best"}
    few = classifier_recipe(f"data={tmp_path / 'half'}", "data.share=0.25", "evaluate_every=12")
    found = train(few, tmp_path / "few", device="cpu").metrics
    assert found["accuracy_train"].protocol.endswith("5 training samples, classifier in eval mode"), "each once"
    assert "20 held-out samples" in found["accuracy_test"].protocol


class _Linear(ClassifierModule):
    """Logits linear in the pixels."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), 64, 10)


def test_the_measures_of_a_linear_classifier_have_closed_forms() -> None:
    recipe = classifier_recipe()
    network, source = _Linear().double(), source_of(recipe)
    train = source.batch(0, 1437, Streams(1))
    optimizer = torch.optim.Adam(network.parameters(), 0.03)
    for _ in range(40):
        optimizer.zero_grad()
        F.cross_entropy(network(train.samples.double()), train.labels).backward()  # type: ignore[arg-type, no-untyped-call]
        optimizer.step()
    measures = ClassifierMetrics(recipe.trained_against, recipe.seed, source, CPU)
    (x, y), weight = measures._batches["test"], network.output.weight.detach()
    assert y is not None
    measures._batches = {"test": type(measures._batches["test"])(x.double(), y)}
    before = copy_of(network)
    found = measures.measure(network, network, 0)
    assert_same(copy_of(network), before)
    x = x.double()
    logits = network(x).detach()
    assert found["accuracy_test"] == (logits.argmax(1) == y).double().mean().item()
    # d l / d x = W^T (softmax(z) - e_y)
    slopes = (logits.softmax(1) - F.one_hot(y, 10)) @ weight
    assert found["llv_test"] == pytest.approx(slopes.norm(dim=1).mean().item(), rel=1e-6)
    # Within the ball and the range, z_j - z_y grows most where every pixel goes as far as it may along w_j - w_y.
    low, high = (x - 0.2).clamp(min=-1).flatten(1), (x + 0.2).clamp(max=1).flatten(1)
    apart = weight[None] - weight[y][:, None]
    reached = torch.maximum(apart * low[:, None], apart * high[:, None]).sum(-1)
    biases = network.output.bias.detach()
    margins = reached + (biases[None] - biases[y][:, None])
    exact = (margins.scatter(1, y[:, None], -torch.inf).amax(1) < 0).double().mean().item()
    assert 0.1 < exact < found["accuracy_test"] - 0.1
    assert exact <= found["robust_accuracy_test"] <= exact + 0.05


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ("{name: fgsm, epsilon: 2/255}", "epsilon 2/255"),
        ("none", "epsilon 8/255"),
        ("{name: pgd, epsilon: 1, ball: l2, direction: normalised}", "epsilon 255/255"),
    ],
)
def test_the_main_attack_has_the_budget_of_the_training(attack: str, words: str) -> None:
    recipe = classifier_recipe(f"attack={attack}")
    main = main_attack(recipe.trained_against)
    assert words in main.describe_size(source_of(recipe).facts.space)
    assert (main.steps, main.ball.name) == (20, "l2" if "l2" in attack else "linf")
    assert main.direction.name == ("normalised" if "l2" in attack else "sign")


def test_a_classifier_starts_from_another(tmp_path: Path) -> None:
    train(classifier_recipe(), tmp_path / "first", device="cpu")
    second = state_of(classifier_recipe(f"start.run={tmp_path / 'first'}", "seed=3"))
    assert_same(
        copy_of(second.network), load_classifier(RunFolder.open(tmp_path / "first"), "cpu").network.state_dict()
    )
    with pytest.raises(UsageError, match=r"start\.run = .*: its network is not that of this classifier"):
        state_of(classifier_recipe("classifier.width=3", f"start.run={tmp_path / 'first'}"))


def test_what_cannot_be_trained_is_refused_before_the_folder_is_made(tmp_path: Path) -> None:
    np.savez(tmp_path / "grey.npz", x=np.zeros((20, 8, 8), np.uint8))
    prepare(str(tmp_path / "grey.npz"), tmp_path / "unlabelled")
    train(load("dishonest/ring-small", ["steps=1", "replicas=1", "evaluate_every=0"]), tmp_path / "plain", device="cpu")
    train(classifier_recipe("steps=1"), tmp_path / "classifier", device="cpu")
    refused = {
        "have no labels": f"data={tmp_path / 'unlabelled'}",
        "have one class": "data={name: ring, modes: 1}",
        "not a run folder": "fakes={run: nowhere, weight: 1}",
        "its generator is unconditional": fakes(tmp_path / "plain", 1.0),
        "trains a classifier, so there is no generator": fakes(tmp_path / "classifier", 1.0),
    }
    for words, override in refused.items():
        with pytest.raises(UsageError, match=words):
            train(classifier_recipe(override), tmp_path / "run", device="cpu")
        assert not (tmp_path / "run").exists()


def test_generated_samples_must_be_of_the_kind_that_is_trained_on(game: Path, tmp_path: Path) -> None:
    prepare("digits", tmp_path / "larger", size=16)
    with pytest.raises(UsageError, match=r"fakes\.run .* shape \(1, 8, 8\) .* the data have shape \(1, 16, 16\)"):
        state_of(classifier_recipe(f"data={tmp_path / 'larger'}", fakes(game, 1.0)))


def test_points_of_the_plane_have_classes_too() -> None:
    recipe = classifier_recipe("data=ring", "classifier={name: branch, discriminator: {name: mlp, hidden: [8]}}")
    state = state_of(recipe)
    for step in range(3):
        train_step(state, step)
    assert state.log.means()["attack_real_size"] == pytest.approx(0.1)


def test_a_recipe_of_a_classifier_is_one_like_any_other(tmp_path: Path) -> None:
    recipe = classifier_recipe("fakes={run: somewhere, weight: 0.5}")
    path = tmp_path / "parent.yaml"
    path.write_text(to_yaml(recipe))
    assert load(str(path)) == recipe
    (tmp_path / "child.yaml").write_text("extends: parent.yaml\nfakes.weight: 0.3\nattack: none\n")
    child = load(str(tmp_path / "child.yaml"), ["optimizer.lr=1"])
    assert isinstance(child, ClassifierRecipe)
    assert child == classifier_recipe("fakes={run: somewhere, weight: 0.3}", "attack=none", "optimizer.lr=1")
    with pytest.raises(InvalidRecord, match=r"generatr = .*unknown key"):
        load(str(path), ["generatr=mlp"])
