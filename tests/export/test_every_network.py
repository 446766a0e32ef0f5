"""Every network of the library, exported in every form: the outputs are those of the network."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from piece_arguments import ARGUMENTS
from sparring.core.errors import SparringError
from sparring.core.modules import plain_weights
from sparring.core.pieces import FAMILIES, members
from sparring.core.randomness import Rng
from sparring.core.shapes import IMAGE_BOUNDS, Space
from sparring.export.export_config import ExportConfig
from sparring.export.exporting import largest_difference
from sparring.export.formats import function_of, program_of, write_network
from sparring.export.plain_torch import plain_torch
from sparring.export.portable import PortableNetwork
from sparring.export.pretrained import assembled
from sparring.lipschitz import SpectralNorm
from sparring.networks import Network

SPACE = Space((3, 8, 8), IMAGE_BOUNDS, 3)
EVERY = [(what, name) for what in ("generator", "discriminator", "classifier") for name in members(FAMILIES[what])]
ONNX = [("generator", "mlp"), ("discriminator", "robgan_resnet")]
"""`test_export_run.py` writes the generator `mnist`."""
PLANE = Space((2,), None, 3)
PLAIN = [
    ("generator", "mlp", SPACE, {}),
    ("generator", "mlp", PLANE, {"conditional": False, "prior": "uniform"}),
    ("generator", "dcgan", SPACE, {}),
    ("generator", "mnist", SPACE, {}),
    ("classifier", "small_cnn", SPACE, {}),
    ("classifier", "vgg16", SPACE, {}),
    ("classifier", "branch", PLANE, {"discriminator": {"name": "mlp", "hidden": [8, 8]}}),
    ("classifier", "branch", SPACE, {"discriminator": {"name": "dcgan", "width": 4}}),
]
logging.getLogger("torch.__trace").setLevel(logging.WARNING)  # not recorded for failures: it takes half of the time
KEYS = {"generator": {"conditional": True}, "discriminator": {"head": "auxiliary"}, "classifier": {}}
SMALL = {("classifier", "small_cnn"): {"width": 2}, ("generator", "dcgan"): {"latent": 5, "width": 8}}


def settled(what: str, name: str, space: Space = SPACE, **keys: Any) -> tuple[nn.Module, ExportConfig]:
    """A network whose weights and statistics are moved off their start, in eval mode; and the config of its export."""
    values = ARGUMENTS.get((what, name), {}) | SMALL.get((what, name), {}) | KEYS[what] | keys
    spec: Network = FAMILIES[what].model_validate({"name": name} | values)  # type: ignore[assignment]
    network = spec.build(space, (), rng=Rng.of(3))
    with torch.no_grad():
        for index, tensor in enumerate([*network.parameters(), *network.buffers()]):
            if tensor.is_floating_point():
                tensor.add_(0.1 * Rng.of(index).uniform(tensor.shape))
    config = ExportConfig(
        version="0",
        what=what,  # type: ignore[arg-type]
        network=spec.model_dump(mode="json"),
        shape=space.shape,
        bounds=space.bounds,
        classes=tuple("abc"[: space.classes]),
        weights="",
        step=0,
        data={},
    )
    return network.eval(), config


@pytest.mark.parametrize(("what", "name"), EVERY)
def test_weights_and_programs(what: str, name: str, tmp_path: Path) -> None:
    """Programs are not written, which takes half of the time; `test_export_run.py` writes some."""
    original, config = settled(what, name)
    network = assembled(config, plain_weights(original), name)
    assert largest_difference(write_network(network, config, tmp_path)[0], network, original) == 0.0
    assert largest_difference(function_of(program_of(network)), network, original) == 0.0


@pytest.mark.parametrize(("what", "name"), ONNX)
def test_onnx(what: str, name: str, tmp_path: Path) -> None:
    original, config = settled(what, name)
    config = config.model_copy(update={"form": "onnx"})
    network = assembled(config, plain_weights(original), name)
    assert largest_difference(write_network(network, config, tmp_path)[0], network, original) < 1e-5


def test_an_export_that_computes_something_else_is_refused(tmp_path: Path) -> None:
    original, config = settled("generator", "mlp")
    network = assembled(config, plain_weights(original), "mlp")
    read, _ = write_network(network, config, tmp_path)
    with torch.no_grad():
        for parameter in original.parameters():
            parameter.add_(0.1)
    with pytest.raises(SparringError, match="differs from the run's by"):
        largest_difference(read, network, original)


def test_normalised_weights_are_stored_as_such(tmp_path: Path) -> None:
    original, config = settled("discriminator", "sngan_resnet", head="projection")
    SpectralNorm().transform(original)
    network = assembled(config, plain_weights(original), "sn")
    assert largest_difference(write_network(network, config, tmp_path)[0], network, original) < 1e-6
    assert not [name for name in network.network.state_dict() if "parametrizations" in name]


@pytest.mark.parametrize(("what", "name", "space", "keys"), PLAIN)
def test_the_lines_of_plain_torch(
    what: str, name: str, space: Space, keys: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, config = settled(what, name, space, **keys)
    network = assembled(config, plain_weights(original), name)
    write_network(network, config, tmp_path)
    monkeypatch.chdir(tmp_path)
    names = run(plain_torch(network))
    expected = network(*(names[each] for each in network.inputs))
    assert torch.allclose(names[network.outputs[0]], expected, atol=1e-5)


def run(program: str) -> dict[str, Any]:
    """The names that a program leaves, without this library."""
    assert "sparring" not in program
    names: dict[str, Any] = {}
    exec(program, names)
    return names


def test_ten_lines_are_enough() -> None:
    network: PortableNetwork = assembled(*_weights("generator", "mlp"), "mlp")
    assert len([line for line in plain_torch(network).splitlines() if line]) == 10


def _weights(what: str, name: str) -> tuple[ExportConfig, dict[str, torch.Tensor]]:
    original, config = settled(what, name)
    return config, plain_weights(original)


def test_layers_of_ones_own_have_no_such_lines() -> None:
    for what, name in (("generator", "resnet"), ("discriminator", "mlp"), ("classifier", "small_resnet")):
        assert plain_torch(assembled(*_weights(what, name), name)) == ""
