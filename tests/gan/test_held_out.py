"""Classifiers, the probe and `evaluate` say whether they measure on training or held-out samples."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from data_layouts import images
from sparring.data import Selection, Store, prepare
from sparring.evaluation.discriminator import measure_discriminator
from sparring.gan.load import load_gan
from sparring.monitoring.discriminator_probe import DiscriminatorProbe
from sparring.monitoring.reference_networks import classifier_for
from sparring.networks import SmallCNN, TrainingSettings
from sparring.recipes import Recipe
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

CPU = torch.device("cpu")
CASES = [
    (("train",), "train", "training"),
    (("train", "test"), "train", "held-out"),
    (("train", "test"), "test", "training"),
    (("train", "validation", "test"), "validation", "held-out"),
]


def store(folder: Path, splits: tuple[str, ...], split: str) -> Store:
    """Grey images of two classes in these splits, opened to train on one of them."""
    arrays = {f"x_{name}": images(20, 4, 4, seed=index) for index, name in enumerate(splits)}
    np.savez(folder / "pets.npz", **arrays, **{f"y_{name}": np.arange(20) % 2 for name in splits})
    prepare(str(folder / "pets.npz"), folder / "store", selection=Selection(test_fraction=0))
    return Store(path=str(folder / "store"), split=split)


def names_only(words: str, kind: str) -> bool:
    """Whether the words name this kind of samples and no other."""
    return [each for each in ("held-out", "training") if each in words] == [kind]


@pytest.mark.parametrize(("splits", "split", "kind"), CASES)
def test_classifier_and_probe_name_their_samples(
    tmp_path: Path, splits: tuple[str, ...], split: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SmallCNN, "training", TrainingSettings(images_seen=200, rate=1e-3))
    source = store(tmp_path, splits, split).open(CPU)
    classifier = classifier_for(source, CPU)
    assert classifier is not None and f"right on {kind} data" in classifier.name
    words = DiscriminatorProbe(source, CPU).protocols()
    for name in ("probe_d_real", "input_gradient_l1", "input_gradient_sparsity", "critic_distance"):
        assert names_only(words[name], kind) and f"20 {kind} real samples" in words[name]
    assert source.unaugmented().facts == source.facts


@pytest.mark.parametrize(("splits", "split", "kind"), CASES[:2])
@pytest.mark.usefixtures("no_metrics")
def test_steepness_names_where_it_was_measured(
    tmp_path: Path, splits: tuple[str, ...], split: str, kind: str, short: Callable[..., Recipe]
) -> None:
    data = store(tmp_path, splits, split)
    players = ("generator={name: mlp, latent: 4, hidden: [8]}", "discriminator={name: mlp, hidden: [8]}")
    recipe = short(f"data={data.path}", *players, "steps=1")
    train(recipe, tmp_path / "run", device="cpu")
    loaded = load_gan(RunFolder.open(tmp_path / "run"), "cpu")
    metrics, _ = measure_discriminator(loaded, loaded.data(), seed=0)
    words = metrics["steepest_pair"].protocol
    assert names_only(words, kind) and f"at 20 {kind} and 20 generated samples" in words
