"""ONNX models: the same logits as in PyTorch, black-box attacks alone, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from robust_models import sound
from sparring.attacks import NES
from sparring.core.errors import CorruptInput, UsageError
from sparring.robustness.budgets import budgets_of
from sparring.robustness.onnx_network import OnnxNetwork
from sparring.robustness.own_model import OwnModel
from sparring.robustness.robustness_json import run_or_model
from sparring.robustness.threat_sets import chosen_threats

Command = Callable[..., Any]
"""The fixture `sparring`."""


def export(path: Path, batch: int | str = "n") -> Path:
    """The sound MLP as an ONNX file, for any batch or one of a fixed size."""
    nodes, weights, last = [helper.make_node("Flatten", ["pixels"], ["0"])], [], "0"
    for name, tensor in sound("mlp").network.state_dict().items():
        weights.append(numpy_helper.from_array(tensor.numpy(), name))
    for layer in ("1", "3", "5"):
        nodes.append(helper.make_node("Gemm", [last, f"{layer}.weight", f"{layer}.bias"], [layer], transB=1))
        nodes.append(helper.make_node("Relu", [layer], [f"relu{layer}"]))
        last = f"relu{layer}"
    given = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 1, 8, 8])
    made = helper.make_tensor_value_info("5", TensorProto.FLOAT, [batch, 10])
    graph = helper.make_graph(nodes[:-1], "mlp", [given], [made], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("batch", ["n", 7, 1])
def test_the_logits_are_those_of_pytorch(batch: int | str, tmp_path: Path) -> None:
    network, clean = OnnxNetwork(export(tmp_path / "m.onnx", batch)), sound("mlp")
    x = clean.samples[:20]
    assert torch.allclose(network(x), clean.predicted_logits(x), atol=1e-4)


def test_images_of_another_size_are_refused(sparring: Command, tmp_path: Path) -> None:
    np.savez(tmp_path / "large.npz", x=np.zeros((20, 16, 16), np.uint8), y=np.arange(20) % 2)
    answer = sparring(
        "robustness", export(tmp_path / "m.onnx"), "--data", tmp_path / "large.npz", "--out", tmp_path / "o"
    )
    assert answer.code == 2 and "m.onnx: cannot run on samples of shape (1, 16, 16)" in answer.err


@pytest.mark.usefixtures("quick_substitute")
def test_black_box_attacks_on_the_command_line(
    sparring: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sparring.robustness.budgets._ESTIMATE", NES(samples=8))  # for speed
    path, out = export(tmp_path / "m.onnx"), tmp_path / "out"
    command = ("robustness", path, "--data", "digits", "--epsilons", "0.2", "--samples", 40, "--out", out)
    answer = sparring(*command, "--threats", "square,noise", "--input-range", "-1,1")
    assert answer.code == 0, answer.out + answer.err
    assert "black-box attacks alone were tried" in answer.out and f"{path} keeps " in answer.out
    found = json.loads((out / "robustness.json").read_text())
    (entry,) = found["targets"]
    assert {row["kind"] for row in entry["attacks"]} == {"black-box", "noise"}
    assert entry["worst"][0]["accuracy"]["value"] < 0.4 < 0.8 < entry["clean"]["value"]
    assert "withstand 3 black-box attacks" in entry["headline"]["text"]
    assert len(found["model"]["weights_sha256"]) == 64
    monkeypatch.setattr("sparring.robustness.robustness_json.robust_accuracy", None)  # refused before
    wrong = sparring(*command, "--threats", "noise", "--radius")
    assert wrong.code == 2 and "a radius needs gradients" in wrong.err
    monkeypatch.undo()
    wrong = sparring(*command, "--threats", "fgsm")
    assert wrong.code == 2 and "threats: FGSM: the model has no gradients" in wrong.err


def test_another_file_is_another_network(tmp_path: Path) -> None:
    one = repr(OnnxNetwork(export(tmp_path / "m.onnx")))
    assert repr(OnnxNetwork(export(tmp_path / "m.onnx", 7))) != one
    assert repr(OnnxNetwork(export(tmp_path / "m.onnx"))) == one


def test_sets_leave_out_attacks_along_gradients() -> None:
    budgets = budgets_of(replace(sound("mlp"), gradients=False), (0.1,))
    names = {choice: [threat.name for threat in chosen_threats(choice, budgets)] for choice in ("standard", "quick")}
    assert names["quick"] == ["NES PGD-10 x 2", "noise"]
    assert names["standard"][:2] == ["NES PGD-10 x 2", "Square-500"] and len(names["standard"]) == 7


def test_what_cannot_be_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no such file"):
        OnnxNetwork(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("a text")
    with pytest.raises(CorruptInput, match="not an ONNX model that onnxruntime runs"):
        OnnxNetwork(tmp_path / "text.onnx")
    with pytest.raises(UsageError, match="an ONNX file has its own"):
        run_or_model("m.onnx", weights="w.pt")
    with pytest.raises(UsageError, match="has no gradients to attack"):
        OwnModel(model="m.onnx").beside(sound("mlp"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(UsageError, match="onnxruntime is not installed") as caught:
        OnnxNetwork(export(tmp_path / "m.onnx"))
    assert "sparring[onnx]" in caught.value.remedy
