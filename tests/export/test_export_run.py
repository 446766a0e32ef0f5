"""`sparring export`: what is exported of a run, its card, and the way back into the library."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import sparring as library
from data_layouts import photo, write_folder
from robust_classifiers import robust_recipe
from sparring.core.errors import CorruptInput, UsageError
from sparring.core.pieces import FAMILIES
from sparring.core.randomness import Rng
from sparring.export import PortableGenerator, export_run, from_pretrained
from sparring.export.card import _robustness
from sparring.recipes import Recipe, load
from sparring.robustness.exported_target import exported_target
from sparring.robustness.load import RobustnessOptions, open_targets
from sparring.runs.folder import RunFolder
from sparring.runs.robustness_schema import Robustness
from sparring.training.loop import train

Command = Callable[..., Any]
"""The fixture `sparring`."""
OVERRIDES = (
    "generator={name: mnist, latent: 4, width: 4, batch_norm: true, conditional: true}",
    "discriminator={name: mnist, width: 4, head: auxiliary}",
    "lipschitz=spectral_norm",
    "batch_size=16",
    "steps=3",
    "ema=0.9",
    "sample_every=0",
    "evaluate_every=0",
)
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def game(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class-conditional game of a moment, with spectral normalisation and a running mean."""
    path = tmp_path_factory.mktemp("game") / "run"
    train(load("robgan/digits", list(OVERRIDES)), path, device="cpu")
    return path


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of a moment that was chosen on validation samples."""
    path = tmp_path_factory.mktemp("classifier") / "run"
    selection = "selection={every: 4, samples: 30, attack_steps: 1}"
    train(robust_recipe(selection, "steps=8"), path, device="cpu")
    return path


def card_of(folder: Path) -> str:
    return (folder / "README.md").read_text()


def run_card(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The names that each program of a card leaves."""
    monkeypatch.chdir(folder)
    found: list[dict[str, Any]] = []
    for program in CODE.findall(card_of(folder)):
        found.append({})
        exec(program, found[-1])
    return found


def test_a_generator_is_its_running_mean(
    game: Path, tmp_path: Path, sparring: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    answer = sparring("export", game, "--out", out)
    assert answer.code == 0, answer.err
    assert "the running mean of G's (decay 0.9) after round 3" in answer.out
    network = from_pretrained(out)
    assert isinstance(network, PortableGenerator) and not network.training
    run = library.load(game)
    latents, labels = torch.randn(5, 4), torch.arange(5)
    codes = torch.cat([latents, torch.nn.functional.one_hot(labels, 10)], dim=1)
    assert torch.equal(network(latents, labels), (run.generator(codes) + 1) / 2)
    images = network.sample(7, labels=3, seed=1)
    assert images.shape == (7, 1, 8, 8) and 0 <= float(images.min()) <= float(images.max()) <= 1
    for labels, words in ((10, "no such class"), ([1, 2], "one for each of 7"), (0.5, "should be a class")):
        with pytest.raises(UsageError, match=words):
            network.sample(7, labels=labels)
    ours, plain = run_card(out, monkeypatch)
    again = ours["network"](plain["latents"], plain["labels"])
    assert torch.allclose(plain["images"], again, atol=1e-6) and ours["images"].shape == (16, 1, 8, 8)


def test_the_card_has_what_a_hub_reads(game: Path, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    folder = export_run(game, tmp_path / "out").folder
    card = ModelCard(card_of(folder))
    assert card.text.startswith("\n# Generator: Built-in 8x8 digits, Rob-GAN's co-training; a minute on a CPU\n")
    assert card.data.library_name == "sparring" and card.data.pipeline_tag == "other"
    for said in ("in [0, 1]", "@inproceedings{liu2019robgan", "lipschitz:\n  name: spectral_norm", "### Flags"):
        assert said in card.text, said


@pytest.mark.parametrize(("form", "what"), [("pt2", "classifier"), ("onnx", "generator")])
def test_other_forms_are_used_as_their_card_says(
    form: str, what: str, game: Path, tmp_path: Path, sparring: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = sparring("export", game, "--as", form, "--what", what, "--out", tmp_path / "out", "--json")
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    assert result["files"] == ["README.md", "config.json", f"model.{form}"] and result["difference"] < 1e-5
    (names,) = run_card(tmp_path / "out", monkeypatch)
    assert names["logits" if what == "classifier" else "images"].shape[0] == 16


def test_a_robust_classifier_has_the_figures_of_its_run(classifier: Path, game: Path, tmp_path: Path) -> None:
    """Target by target: what is attacked is the same bit for bit, so that every figure is."""
    options = RobustnessOptions(samples=20)
    for run in (classifier, game):
        folder = export_run(run, tmp_path / run.parent.name, what="classifier").folder
        ((ours,), step, _), ((theirs,), of_run, _) = (open_targets(path, options, "cpu") for path in (folder, run))
        assert step == of_run
        assert ours.training is not None and theirs.training is not None
        pairs = [(ours.samples[:], theirs.samples[:]), (ours.labels, theirs.labels)]
        pairs.append((ours.training.samples[:], theirs.training.samples[:]))
        pairs.append((ours.predicted_logits(ours.samples), theirs.predicted_logits(ours.samples)))
        assert all(torch.equal(one, other) for one, other in pairs)
        assert (ours.classes, ours.evaluated_on, ours.trained_against) == (
            theirs.classes,
            theirs.evaluated_on,
            theirs.trained_against,
        )


def test_robustness_of_an_export_on_the_command_line(classifier: Path, tmp_path: Path, sparring: Command) -> None:
    out = tmp_path / "out"
    assert "the best by robust accuracy on 30 validation samples" in sparring("export", classifier, "--out", out).out
    answer = sparring("robustness", out, "--threats", "noise", "--samples", 10, "--epsilons", "0.1", "--json")
    assert answer.code in (0, 7), answer.err
    assert json.loads((out / "robustness.json").read_text())["targets"][0]["samples"] == 10


def test_an_export_on_images_of_the_users_own(classifier: Path, tmp_path: Path, sparring: Command) -> None:
    out = export_run(classifier, tmp_path / "out").folder
    pixels = Rng.of(0).integers((60, 8, 8), 256).byte().numpy()
    np.savez(tmp_path / "own.npz", x=pixels, y=np.arange(60) % 10)
    target, step = exported_target(out, str(tmp_path / "own.npz"), 50, 0, torch.device("cpu"))
    assert (target.evaluated_on, target.training, len(target.samples), step) == ("given", None, 50, 8)
    np.savez(tmp_path / "few.npz", x=pixels, y=np.arange(60) % 3)
    refused = sparring("robustness", out, "--data", tmp_path / "few.npz")
    assert refused.code == 2 and "was trained on samples of" in refused.err
    names = [f"{name}/{index}.png" for name in "abcdefghij" for index in range(2)]
    images = {name: photo(index, size=(8, 8), format="PNG", mode="L") for index, name in enumerate(names)}
    refused = sparring("robustness", out, "--data", write_folder(tmp_path / "letters", images))
    assert refused.code == 2 and "its classes are 0, 1, 2" in refused.err and "a, b, c" in refused.err


def test_one_of_packed_games(short: Callable[..., Recipe], tmp_path: Path) -> None:
    train(short("replicas=2", "steps=2"), tmp_path / "run", device="cpu")
    result = export_run(tmp_path / "run", game=1)
    assert result.folder == tmp_path / "run" / "exports" / "generator-hub-1"
    run, network = library.load(tmp_path / "run", game=1), from_pretrained(result.folder)
    latents = torch.randn(3, 8)
    assert torch.equal(network(latents), run.generator(latents))  # points have no range
    first = export_run(tmp_path / "run", game=0).folder
    assert first.name == "generator-hub-0" and result.folder.exists()
    assert not torch.equal(from_pretrained(first)(latents), network(latents))
    run_folder = RunFolder(tmp_path / "run")
    Robustness(step=2, seed=0, targets=(), game=1).write(run_folder.path / "robustness.json")
    assert [_robustness(run_folder, index) is None for index in (0, 1)] == [True, False], "each card has its own game's"


def test_what_cannot_be_exported(
    game: Path, classifier: Path, tmp_path: Path, sparring: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "full").mkdir()
    assert sparring("export", classifier, "--out", tmp_path / "earlier").code == 0
    (tmp_path / "full" / "mine.txt").touch()
    wrong: list[tuple[tuple[object, ...], str]] = [
        ((tmp_path,), "not a run folder"),
        ((classifier, "--what", "generator"), "trains a classifier, and has no generator"),
        ((game, "--game", 3), "game 3"),
        ((classifier, "--game", 1), "trains one classifier, and has no game 1"),
        ((game, "--as", "tflite"), "tflite"),
        ((game, "--out", tmp_path / "full"), "already there"),
        ((game, "--out", tmp_path / "earlier"), "already there"),
    ]
    for arguments, cause in wrong:
        answer = sparring("export", *arguments)
        assert answer.code == 2 and cause in answer.err and answer.err.count("\n") == 2, answer.err
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    answer = sparring("export", game, "--as", "onnx", "--out", tmp_path / "out")
    assert answer.code == 2 and "sparring[onnx]" in answer.err and not (tmp_path / "out").exists()


def test_a_discriminator_without_a_class_head_is_no_classifier(
    short: Callable[..., Recipe], tmp_path: Path, sparring: Command
) -> None:
    train(short("steps=1"), tmp_path / "run", device="cpu")
    answer = sparring("export", tmp_path / "run", "--what", "classifier")
    assert answer.code == 2 and "D has no class head" in answer.err


def test_damaged_and_foreign_exports_are_refused(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = export_run(classifier, tmp_path / "out").folder
    with pytest.raises(UsageError, match="no exported network"):
        from_pretrained(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    foreign = config | {"network": {"name": "os:system"}}
    (folder / "config.json").write_text(json.dumps(foreign))
    with pytest.raises(CorruptInput, match="names code that would be run, of os"):
        from_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config | {"data": {"name": "os:system"}}))
    assert from_pretrained(folder)  # its data are not needed
    with pytest.raises(CorruptInput, match="names code that would be run, of os"):
        open_targets(folder, RobustnessOptions(), "cpu")
    (folder / "config.json").write_text(json.dumps(config))
    with open(folder / "model.safetensors", "ab") as file:
        file.write(b"x")
    with pytest.raises(CorruptInput, match="not the file that was exported"):
        from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(CorruptInput, match=r"model.safetensors: missing"):
        from_pretrained(folder)
    with pytest.raises(UsageError, match="an export as pt2"):
        from_pretrained(export_run(classifier, tmp_path / "pt2", form="pt2").folder)


def test_nothing_is_left_of_an_export_that_failed(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def differs(*_: object) -> float:
        raise UsageError("differs")

    monkeypatch.setattr("sparring.export.exporting.largest_difference", differs)
    with pytest.raises(UsageError, match="differs"):
        export_run(classifier, tmp_path / "out")
    assert not list(tmp_path.iterdir())
    assert RunFolder.open(classifier).path == classifier and FAMILIES
