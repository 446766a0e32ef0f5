"""Weights of a user's own network: what is read, unwrapped and refused; and inputs that are not as they were told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from robust_models import dense, sound
from sparring.core.errors import CorruptInput, UsageError
from sparring.core.process import Progress
from sparring.robustness.input_scale import input_check
from sparring.robustness.load import RobustnessOptions, open_targets
from sparring.robustness.own_model import LoadedModel, OwnModel
from sparring.robustness.robustness_json import run_or_model
from sparring.robustness.targets import Target
from sparring.robustness.weights import load_weights

Command = Callable[..., Any]
"""The fixture `sparring`."""
State = dict[str, Tensor]


class Notes(Progress):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


class Folding(nn.Module):
    """A network that confuses inputs outside of [-1, 1] with others."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, samples: Tensor) -> Tensor:
        logits: Tensor = self.network((samples * torch.pi / 2).sin())
        return logits


class Normalising(nn.Module):
    """A network that brings images from [0, 1] to [-1, 1] itself."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.network(2 * pixels - 1)
        return logits


@pytest.fixture
def state() -> State:
    """The weights of the sound MLP, for images in [-1, 1]."""
    return {name: values.clone() for name, values in sound("mlp").network.state_dict().items()}


def network() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


FORMS: dict[str, tuple[Callable[[State], Any], list[str]]] = {
    "alone": (lambda state: state, []),
    "state_dict": (lambda state: {"state_dict": state, "epoch": 3}, ["taken from 'state_dict'"]),
    "model": (lambda state: {"model": state, "optimizer": {"lr": 0.1}}, ["taken from 'model'"]),
    "model_state_dict": (lambda state: {"model_state_dict": state, "loss": 0.5}, ["taken from 'model_state_dict'"]),
    "net": (lambda state: {"net": state, "acc": 93.1}, ["taken from 'net'"]),
    "module.": (
        lambda state: {f"module.{name}": values for name, values in state.items()},
        ["prefix 'module.' removed from every name"],
    ),
    "_orig_mod. of module. in net": (
        lambda state: {"net": {f"module._orig_mod.{name}": values for name, values in state.items()}},
        ["taken from 'net'", "prefix 'module.' removed from every name", "prefix '_orig_mod.' removed from every name"],
    ),
    "fp16": (lambda state: {name: values.half() for name, values in state.items()}, ["converted from float16"]),
}


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_taken_from_the_usual_wrappers(form: str, state: State, tmp_path: Path) -> None:
    wrapped, remarks = FORMS[form]
    torch.save(wrapped(state), tmp_path / "weights.pt")
    filled = network()
    found = load_weights(filled, tmp_path / "weights.pt")
    assert found == tuple(f"weights of {tmp_path / 'weights.pt'}: {remark}" for remark in remarks)
    tolerance = 1e-3 if form == "fp16" else 0
    assert all(torch.allclose(values, state[name], atol=tolerance) for name, values in filled.state_dict().items())


def test_weights_of_old_releases_and_safetensors(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    save_file(state, tmp_path / "weights.safetensors")
    for name in ("old.pth", "weights.safetensors"):
        filled = network()
        assert load_weights(filled, tmp_path / name) == ()
        assert all(torch.equal(values, state[key]) for key, values in filled.state_dict().items())


def test_a_counter_of_batches_may_be_missing(tmp_path: Path) -> None:
    torch.save({name: torch.ones(3) for name in ("weight", "bias", "running_mean", "running_var")}, tmp_path / "w.pt")
    layer = nn.BatchNorm2d(3)
    load_weights(layer, tmp_path / "w.pt")
    assert bool((layer.running_mean == 1).all())


class Canary:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_code_in_weights_is_not_run(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "hook": Canary(tmp_path / "canary")}, tmp_path / "code.pt")
    torch.save(dense(64, 10), tmp_path / "module.pt")
    for name in ("code.pt", "module.pt"):
        with pytest.raises(CorruptInput, match=rf"{name}: holds code \(.*\) and not tensors alone") as caught:
            load_weights(network(), tmp_path / name)
        assert "torch.save(network.state_dict(), FILE)" in caught.value.remedy
    assert not (tmp_path / "canary").exists()


def renamed(state: State, old: str, new: str) -> State:
    return {name.replace(old, new): values for name, values in state.items()}


MISFITS: dict[str, tuple[Callable[[State], Any], str]] = {
    "names": (
        lambda state: renamed(state, "5.", "head."),
        "2 tensors missing: 5.weight (is it head.weight?), 5.bias (is it head.bias?); 2 unknown: head.weight, head",
    ),
    "one missing": (lambda state: {key: state[key] for key in state if key != "3.bias"}, "1 tensors missing: 3.bias"),
    "shape": (
        lambda state: state | {"5.weight": torch.ones(100, 64)},
        "5.weight has shape (100, 64), the network's (10, 64)",
    ),
    "no weights": (lambda _state: {"epoch": 3, "history": [1.0]}, "holds the keys epoch, history, and no weights"),
    "a list": (lambda _state: [1, 2], "holds a list, and no weights by name"),
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_weights_that_do_not_fit_are_named(misfit: str, state: State, tmp_path: Path) -> None:
    changed, message = MISFITS[misfit]
    torch.save(changed(state), tmp_path / "weights.pt")
    with pytest.raises(CorruptInput, match=re.escape(message)):
        load_weights(network(), tmp_path / "weights.pt")


def test_damaged_and_missing_files_are_named(state: State, tmp_path: Path) -> None:
    torch.save(state, tmp_path / "weights.pt")
    save_file(state, tmp_path / "weights.safetensors")
    for name in ("weights.pt", "weights.safetensors"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:300])
        with pytest.raises(CorruptInput, match=name):
            load_weights(network(), tmp_path / name)
    with pytest.raises(UsageError, match=r"none\.pt: no such file"):
        load_weights(network(), tmp_path / "none.pt")


def checked(inner: nn.Module, labels: Tensor | None = None, **scale: Any) -> Any:
    """The check of a network for images in [-1, 1] that is told another scale, or images of other labels."""
    model, clean = OwnModel(model="own:make", **scale), sound("mlp")
    loaded = LoadedModel(model, inner.eval(), torch.device("cpu"), ())
    target = Target(
        name="own",
        network=loaded.of_pixels(model),
        space=clean.space,
        samples=clean.samples,
        labels=clean.labels if labels is None else labels,
        classes=clean.classes,
    )
    return input_check(loaded, target)


HALVED = {"mean": (0.5,), "std": (0.5,)}
TOLD: dict[str, tuple[Callable[[nn.Module], nn.Module], dict[str, Any], str]] = {
    "the wrong range": (lambda inner: inner, {"input_range": (0.0, 255.0)}, "with --input-range -1,1"),
    "normalised twice by a mean": (Normalising, HALVED, "without --mean and --std: the model seems to normalise"),
    "normalised twice by a range": (Normalising, {"input_range": (-1.0, 1.0)}, "with --input-range 0,1"),
    "as it is": (lambda inner: inner, {"input_range": (-1.0, 1.0)}, ""),
    "as it is, by a mean": (lambda inner: inner, HALVED, ""),
    "as it is, in itself": (Normalising, {}, ""),
}


@pytest.mark.parametrize("case", TOLD)
def test_a_wrong_input_scale_is_suspected(case: str) -> None:
    wrapped, scale, remedy = TOLD[case]
    check = checked(wrapped(Folding(sound("mlp").network)), **scale)
    assert check.holds is not bool(remedy), check.detail
    assert remedy in check.detail
    if remedy:
        assert re.search(r"clean accuracy [0-9.]+ % as stated, [89][0-9.]+ % ", check.detail)


def test_another_order_of_classes_is_suspected() -> None:
    labels = sound("mlp").labels
    check = checked(sound("mlp").network, (labels + 3) % 10, input_range=(-1.0, 1.0))
    assert check.holds is False
    assert "if its outputs are in the order 3, 4, 5, 6, 7, 8, 9, 0, 1, 2: reorder them" in check.detail


def test_reversed_channels_are_suspected() -> None:
    grey = sound("mlp")
    rest = torch.rand(len(grey.samples), 2, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1

    class OfLastChannel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = grey.network

        def forward(self, samples: Tensor) -> Tensor:
            logits: Tensor = self.network(samples[:, 2:])
            return logits

    model = OwnModel(model="own:make", input_range=(-1.0, 1.0))
    loaded = LoadedModel(model, OfLastChannel().eval(), torch.device("cpu"), ())
    space = type(grey.space)((3, 8, 8), grey.space.bounds, 10)
    samples = torch.cat([grey.samples, rest], dim=1)
    target = Target("own", loaded.of_pixels(model), space, samples, grey.labels, grey.classes)
    check = input_check(loaded, target)
    assert check.holds is False and "with blue, green, red channels" in check.detail


MODULE = """
import torch
from torch import nn

class Folding(nn.Sequential):
    def forward(self, x):
        return super().forward((x * torch.pi / 2).sin())

def make():
    return Folding(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
"""


def test_both_reach_the_command_line(
    sparring: Command, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"own_network_of_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    torch.save({"state_dict": {f"module.{name}": each for name, each in state.items()}}, tmp_path / "w.pt")
    options = ("--data", "digits", "--threats", "fgsm", "--epsilons", "0.1", "--samples", 100)
    command = ("robustness", f"{module}:make", "--weights", tmp_path / "w.pt", *options, "--out", tmp_path / "out")
    right = sparring(*command, "--input-range", "-1,1")
    assert right.code == 0, right.err + right.out
    assert right.out.count(f"{module}:make") == 2  # the verdict's and the table's
    assert "taken from 'state_dict'" in right.out and "prefix 'module.' removed" in right.out
    wrong = sparring(*command, "--input-range", "0,255")
    assert wrong.code == 7 and "FLAG: inputs and classes as stated: clean accuracy" in wrong.out
    assert "sanity checks failed, first inputs and classes as stated" in wrong.out
    found = json.loads((tmp_path / "out" / "robustness.json").read_text())["targets"][0]
    assert found["headline"] is None and any("--input-range -1,1" in flag for flag in found["flags"])


def pictures(folder: Path) -> Path:
    """Ten grey pictures of each of two classes, 8 x 8 pixels, in a folder a class."""
    for index, name in enumerate(("dark", "light")):
        (folder / name).mkdir(parents=True)
        for value in range(10):
            Image.new("L", (8, 8), 200 * index + value).save(folder / name / f"{value}.png")
    return folder


def of_two(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    module = f"network_of_two_of_{tmp_path.name}"
    (tmp_path / f"{module}.py").write_text(MODULE.replace("nn.Linear(64, 10)", "nn.Linear(64, 2)"))
    monkeypatch.syspath_prepend(tmp_path)
    return f"{module}:make"


def test_the_data_may_be_a_folder_of_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, notes = OwnModel(model=of_two(monkeypatch, tmp_path)), Notes()
    options = RobustnessOptions(data=str(pictures(tmp_path / "shades")))
    (target,) = open_targets(model, options, "cpu", notes).targets
    assert (target.classes, len(target.samples)) == (("dark", "light"), 20)
    assert target.evaluated_on == "given" and target.training is None, "the model may have been trained on them"
    assert "data: 20 images in grey of 2 classes (dark, light) in shades" in notes.said


def test_statistics_are_of_every_channel_in_brackets_or_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = of_two(monkeypatch, tmp_path)
    model = run_or_model(name, mean="[0.5, 0.4, 0.3]", std="(0.2)")
    assert isinstance(model, OwnModel)
    assert (model.mean, model.std) == ((0.5, 0.4, 0.3), (0.2,))
    with pytest.raises(UsageError, match="mean has 3 numbers, the images have 1 channel"):
        open_targets(model, RobustnessOptions(data="digits"), "cpu")
