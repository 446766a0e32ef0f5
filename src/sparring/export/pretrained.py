"""An exported network from its folder: `sparring.from_pretrained(DIR)`."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparring.core.errors import CorruptInput, UsageError
from sparring.core.files import read_file
from sparring.core.pieces import FAMILIES
from sparring.core.randomness import Rng
from sparring.export.export_config import CONFIG, WEIGHTS, ExportConfig
from sparring.export.portable import PortableNetwork, portable
from sparring.networks import Network
from sparring.runs.environment import choose_device
from sparring.runs.tensors import fill, tensors_in
from sparring.runs.trust import require_importable, require_trusted, trust


def from_pretrained(folder: str | os.PathLike[str], *, device: str | torch.device = "auto") -> PortableNetwork:
    """A network that `sparring export RUN --as hub` wrote, in eval mode.

    It takes and gives images in [0, 1]: a generator latents and, if it is conditional, class numbers; see
    `sparring.export.portable`.

    Args:
        folder: with config.json and model.safetensors.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or a `torch.device`.

    Raises:
        UsageError: there is no such folder, or it holds another form of export.
        CorruptInput: it is damaged, or names code that this user neither exported nor allows.
    """
    path = Path(folder)
    config = read_config(path)
    if config.form != "hub":
        raise UsageError(f"{path}: an export as {config.form}", "export the run again with --as hub")
    data = read_file(path / WEIGHTS)
    if hashlib.sha256(data).hexdigest() != config.sha256:
        raise CorruptInput(
            f"{path / WEIGHTS}: not the file that was exported", "export the run again, or copy it again"
        )
    network = assembled(config, tensors_in(data, str(path / WEIGHTS)), str(path))
    return network.to(choose_device(str(device)))


def read_config(folder: Path) -> ExportConfig:
    """The config of an export.

    Raises:
        UsageError: there is none.
        CorruptInput: it is damaged, of another library, or names code that is not trusted.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise UsageError(
            f"{folder}: no exported network, as it has no {CONFIG}",
            "give the folder of a `sparring export`; one of a hub is downloaded first",
        )
    config = ExportConfig.read(path)
    require_code(folder, config.of_network)
    return config


def require_code(folder: Path, values: dict[str, Any]) -> None:
    """Import the code that a part of a config names.

    Raises:
        CorruptInput: this user neither exported it nor allows the module.
        UsageError: it cannot be imported from here.
    """
    require_trusted(folder / CONFIG, _text(values), values)
    require_importable(folder / CONFIG, values)


def trust_code(config: ExportConfig) -> None:
    """Remember that this user exported what the config names."""
    for values in (config.of_network, config.of_evaluation):
        trust(_text(values), values)


def _text(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True)


def assembled(config: ExportConfig, weights: dict[str, Tensor], name: str) -> PortableNetwork:
    """The network of a config with its weights.

    Args:
        config: of the export.
        weights: by name.
        name: of the export, in errors.

    Raises:
        InvalidRecord: this version has no such network.
        CorruptInput: the weights are not those of the network.
    """
    family: type[Network] = FAMILIES[config.what]  # type: ignore[assignment]
    spec = family.validated(config.network, f"{name}: network", f"written by sparring {config.version}")
    network = spec.build(config.space, (), rng=Rng.of(0))
    fill(network, weights)
    return portable(spec, network, config.space)
