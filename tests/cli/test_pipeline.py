"""A checkpoint of any recipe is fine-tuned, evaluated, sampled and reported: no verb asks for a network again.

On the built-in digits, doubled in size, at small widths.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sparring.classifier.finetune import finetuning
from sparring.data import prepare
from sparring.data.digits import load_digits
from sparring.evaluation.evaluate import evaluate
from sparring.evaluation.samples import write_samples
from sparring.networks import SmallCNN, TrainingSettings
from sparring.recipes import Recipe, load
from sparring.report import report_run
from sparring.robustness.load import RobustnessOptions
from sparring.robustness.robustness_json import evaluate_robustness
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

SHORT = [
    "steps=1", "batch_size=4", "replicas=1", "log_every=1", "sample_every=0", "checkpoint_every=1", "evaluate_every=0",
    "precision=fp32",
]  # fmt: skip
RECIPES = ["dishonest/mnist", "asgan/celeba-resnet", "dat/cifar10-wgan-lp", "robgan/cifar10-sngan", "robgan/mnist"]
"""Together: all families of networks, both kinds of G, every head, spectral norm."""


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits twice as large, 40 of them, with a test split."""
    root = tmp_path_factory.mktemp("store")
    samples, labels = load_digits()
    large = np.minimum(samples[:60].repeat(2, axis=2).repeat(2, axis=3).astype(np.int64) * 15, 255).astype(np.uint8)
    arrays = {"x_train": large[:40], "y_train": labels[:40], "x_test": large[40:], "y_test": labels[40:60]}
    np.savez(root / "digits.npz", **arrays)  # type: ignore[arg-type]
    prepare(str(root / "digits.npz"), root / "digits")
    return root / "digits"


def small(name: str, store: Path) -> list[str]:
    """Overrides that make a recipe tiny."""
    recipe = load(name)
    assert isinstance(recipe, Recipe)
    keys = [*SHORT, f"data={{name: store, path: {store}}}"]
    for player in ("generator", "discriminator"):
        values = getattr(recipe, player).model_dump(mode="json")
        keys += [f"{player}.{key}={value}" for key, value in SMALL.items() if key in values]
    return keys


SMALL = {"width": 2, "hidden": [6], "latent": 4, "multiples": []}


@pytest.mark.usefixtures("undrawn", "quick_substitute")
@pytest.mark.parametrize("name", RECIPES)
def test_a_checkpoint_goes_everywhere(name: str, digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SmallCNN, "training", TrainingSettings(images_seen=100, rate=1e-3))
    train(load(name, small(name, digits)), tmp_path / "run", device="cpu")
    tuned = finetuning(RunFolder.open(tmp_path / "run"), overrides=["steps=1", "batch_size=4", "evaluate_every=0"])
    train(tuned.recipe, tmp_path / "tuned", device="cpu")
    options = RobustnessOptions(samples=6, threats="fgsm", epsilons=(0.1,))
    for run in (tmp_path / "run", tmp_path / "tuned"):
        found = evaluate_robustness(run, options, device="cpu")
        assert json.loads((run / "robustness.json").read_text())["targets"] == found.as_json()["targets"]
        assert report_run(RunFolder.open(run)).is_file()
    assert write_samples(tmp_path / "run", tmp_path / "drawn.npz", count=10, seed=0)["samples"] == 10
    assert evaluate(tmp_path / "run", samples=16, device="cpu").step == 1
