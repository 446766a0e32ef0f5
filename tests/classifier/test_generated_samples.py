"""Generated samples in training: a weight or a share, of a run or of a store, with their labels or a classifier's."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from data_layouts import photo, write_folder
from robust_classifiers import robust_recipe, robust_state
from sparring.classifier.load import load_classifier
from sparring.classifier.step import train_step
from sparring.core.errors import UsageError
from sparring.core.randomness import Streams
from sparring.core.records import InvalidRecord
from sparring.data import Selection, prepare
from sparring.recipes import load
from sparring.runs.folder import RunFolder
from sparring.training.loop import resume, train


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of images of the digits' shape, labelled by their brightness, from an npz as generated sets come."""
    root = tmp_path_factory.mktemp("generated")
    labels = np.arange(90) % 10
    image = np.broadcast_to((20 * labels)[:, None, None], (90, 8, 8)).astype(np.uint8)
    np.savez(root / "set.npz", image=image, label=labels)
    prepare(str(root / "set.npz"), root / "store", selection=Selection(test_fraction=0))
    return root / "store"


def unconditional_game(path: Path, data: str = "digits") -> Path:
    """The run of a game whose generator knows no classes."""
    keys = [f"data={data}", "generator={name: mlp, latent: 4, hidden: [8]}"]
    keys += ["discriminator={name: mlp, hidden: [8]}", "steps=1", "replicas=1", "evaluate_every=0", "sample_every=0"]
    train(load("dishonest/ring-small", [*keys, "lipschitz=none", "batch_size=8"]), path, device="cpu")
    return path


def test_a_share_is_part_of_the_one_batch(generated: Path) -> None:
    """12 of 16 are generated; the loss is the mean over all, and the statistics are common."""
    state = robust_state(f"fakes={{data: {generated}, share: 0.75}}", "attack=none")
    network = state.recipe.classifier.build(state.space, (), rng=Streams(0).rng("init/classifier"))
    assert (state.recipe.images_a_round, state.recipe.generated_a_round) == (4, 12)
    for step in range(3):
        (batch,) = state.batches(step)
        assert (batch.origin, batch.weight) == ("mixed", 1.0)
        real, fake = state.source.batch(step, 4, state.streams), state.fakes[0].draw(12, state.streams, step)
        assert torch.equal(batch.samples, torch.cat([real.samples, fake.samples]))
        assert fake.labels is not None
        bright = fake.samples[:, 0, 0, 0]
        torch.testing.assert_close(bright, 20 * fake.labels / 127.5 - 1)  # the file's own labels
        train_step(state, step)
        F.cross_entropy(network(batch.samples), batch.labels).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(parameter.grad, alpha=-0.05)  # type: ignore[arg-type]
                parameter.grad = None
    for name, value in network.state_dict().items():
        assert torch.equal(state.network.state_dict()[name], value), name
    assert {"loss_mixed", "accuracy_mixed", "attack_mixed_size"} < state.log.means().keys()


def test_a_weight_is_a_second_batch_of_a_store(generated: Path) -> None:
    state = robust_state(f"fakes={{data: {generated}, weight: 0.3}}")
    real, fake = state.batches(0)
    assert (real.weight, fake.weight, len(real.samples), len(fake.samples)) == (1.0, 0.3, 16, 16)
    assert (fake.origin, state.recipe.images_a_round) == ("fake", 16)


def assert_a_game_without_labels_may_be_labelled(path: Path) -> None:
    """An unconditional generator of images that have no classes makes samples of the same shape."""
    np.savez(path / "bare.npz", image=np.zeros((20, 8, 8), np.uint8))
    prepare(str(path / "bare.npz"), path / "bare")
    run = unconditional_game(path / "bare-game", f"{path / 'bare'}")
    robust_state(f"fakes={{run: {run}, share: 0.5, labels: {path / 'labeller'}}}")


def test_a_classifier_labels_what_has_no_labels(tmp_path: Path) -> None:
    train(robust_recipe("steps=2"), tmp_path / "labeller", device="cpu")
    run = unconditional_game(tmp_path / "game")
    override = f"fakes={{run: {run}, share: 0.5, labels: {tmp_path / 'labeller'}}}"
    state = robust_state(override)
    assert_a_game_without_labels_may_be_labelled(tmp_path)
    drawn = state.fakes[0].draw(50, state.streams, 0)
    classify = load_classifier(RunFolder.open(tmp_path / "labeller"), "cpu").classify
    with torch.no_grad():
        assert torch.equal(drawn.labels, classify(drawn.samples).argmax(-1))  # type: ignore[arg-type]
    train(robust_recipe(override, "steps=6"), tmp_path / "whole", device="cpu")
    train(robust_recipe(override, "steps=6"), tmp_path / "again", device="cpu")
    shutil.rmtree(tmp_path / "again" / "checkpoints" / "000000006")
    for parent in (run, tmp_path / "labeller"):
        shutil.rmtree(parent / "checkpoints")  # a run keeps the networks that it started with
    resume(tmp_path / "again", device="cpu")
    tensors = "checkpoints/000000006/tensors.safetensors"
    assert (tmp_path / "again" / tensors).read_bytes() == (tmp_path / "whole" / tensors).read_bytes()


def test_what_does_not_fit_is_refused(generated: Path, tmp_path: Path) -> None:
    for fakes, words in {
        "{run: somewhere, weight: 0.5, share: 0.5}": "give a weight or a share",
        "{share: 0.5}": "name either a run or a store",
        f"{{run: somewhere, data: {generated}}}": "name either a run or a store",
    }.items():
        with pytest.raises(InvalidRecord, match=words):
            robust_recipe(f"fakes={fakes}")
    assert robust_recipe("fakes={run: somewhere}").fakes.weight == 0.5  # type: ignore[union-attr]
    assert robust_recipe("fakes={run: somewhere, share: 0.5}").fakes.weight is None  # type: ignore[union-attr]
    np.savez(tmp_path / "set.npz", image=np.zeros((20, 8, 8), np.uint8))
    prepare(str(tmp_path / "set.npz"), tmp_path / "unlabelled")
    with pytest.raises(UsageError, match=r"fakes\.data: makes samples of .* and 0 classes, and the data have"):
        robust_state(f"fakes.data={tmp_path / 'unlabelled'}")
    for folder, names in (("one", "ab"), ("other", "ac")):
        files = {
            f"{name}/{index}.png": photo(index, size=(8, 8), mode="L", format="PNG")
            for name in names
            for index in range(5)
        }
        prepare(str(write_folder(tmp_path / folder, files)), tmp_path / f"{folder}-store", size=8)
    stores = [f"{{name: store, path: {tmp_path / folder}-store}}" for folder in ("one", "other")]
    with pytest.raises(UsageError, match=r"fakes\.data: its classes are a, c, and those of the data a, b"):
        robust_state(f"data={stores[0]}", f"fakes.data={stores[1]}")
    run = unconditional_game(tmp_path / "game")
    with pytest.raises(UsageError, match=r"(?s)its generator is unconditional.*let a classifier label them"):
        robust_state(f"fakes.run={run}")
    with pytest.raises(UsageError, match=r"fakes\.labels = .*: is a game, not a classifier"):
        robust_state(f"fakes={{run: {run}, labels: {run}}}")
