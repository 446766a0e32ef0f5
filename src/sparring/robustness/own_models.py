"""A classifier of the user's own: made by a function, with weights from a file and inputs of its own scale."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, ValidationError, model_validator
from torch import Tensor, nn

from sparring.core.errors import CorruptInput, UsageError, printable
from sparring.core.files import read_file, sha256
from sparring.core.pieces import import_object
from sparring.core.records import InvalidRecord, Record, problems_in
from sparring.core.shapes import Samples, expand_like
from sparring.recipes import parse_yaml
from sparring.runs.tensors import tensors_in

_CONVERT = (
    "where you trust it, turn it into safetensors: "
    "python -c 'import sys, torch; from safetensors.torch import save_file; "
    "save_file(torch.load(sys.argv[1], weights_only=True), sys.argv[2])' WEIGHTS.pt WEIGHTS.safetensors "
    "(or let the function that makes the network load it)"
)
Channels = Annotated[tuple[float, ...], Field(strict=False, min_length=1)]


class InputScale(Record):
    """What a network wants of an image whose pixels are p in [0, 1]: (low + p (high - low) - mean) / std.

    Args:
        range: low and high.
        mean, std: of every channel, or one for all.
    """

    range: Annotated[tuple[float, float], Field(strict=False)] = (0.0, 1.0)
    mean: Channels = (0.0,)
    std: Channels = (1.0,)

    @model_validator(mode="after")
    def _is_a_scale(self) -> InputScale:
        low, high = self.range
        if low >= high:
            raise ValueError(f"range: {low:g} is not below {high:g}")
        if min(self.std) <= 0:
            raise ValueError("std: should be above 0")
        return self


class Rescaled(nn.Module):
    """A network behind its input scale; takes images in [-1, 1].

    Args:
        network: of the user's.
        scale: what it wants.
    """

    def __init__(self, network: nn.Module, scale: InputScale) -> None:
        super().__init__()
        self.network = network
        self.scale = scale
        self.register_buffer("mean", torch.tensor(scale.mean), persistent=False)
        self.register_buffer("std", torch.tensor(scale.std), persistent=False)

    def forward(self, samples: Samples) -> Tensor:
        mean, std = (expand_like(each, samples[0]) for each in (self.get_buffer("mean"), self.get_buffer("std")))
        low, high = self.scale.range
        pixels = low + (samples + 1) / 2 * (high - low)
        logits: Tensor = self.network((pixels - mean) / std)
        return logits


class Foreign(Record):
    """A model of the user's own.

    Args:
        model: `package.module:factory`, a function or class that makes the network without arguments, or a network.
        weights: a safetensors file; None takes the network as it is made.
        inputs: what it wants of images.
    """

    model: str = Field(pattern=r"^[\w.]+:[\w.]+$")
    weights: str | None = None
    inputs: InputScale = InputScale()

    def described(self, data: str | None) -> dict[str, Any]:
        """What was evaluated, so that a result can be told from that of other weights, inputs or data."""
        digest = sha256(Path(self.weights)) if self.weights else None
        return self.model_dump(mode="json") | {"weights_sha256": digest, "data": data}

    def load(self, device: torch.device) -> Rescaled:
        """The network with its weights, in eval mode, for images in [-1, 1].

        Raises:
            UsageError: it cannot be made, or there is no such file.
            CorruptInput: the weights are damaged, no safetensors, or not of this network.
            StorageError: they cannot be read.
        """
        try:
            made = import_object(self.model)
            network = made if isinstance(made, nn.Module) else made()
        except Exception as error:  # a stranger's code
            told = f"model = {self.model!r}: cannot be made: {type(error).__name__}: {error}"
            raise UsageError(told, "name a function without arguments, from a module of the working folder") from None
        if not isinstance(network, nn.Module):
            told = f"model = {self.model!r}: makes a {type(network).__name__}, not a torch.nn.Module"
            raise UsageError(told, "return the network itself")
        if self.weights is not None:
            _fill(network, Path(self.weights), self.model)
        return Rescaled(network, self.inputs).to(device).eval()


def target_of(text: str, *, weights: str = "", input_range: str = "", mean: str = "", std: str = "") -> Path | Foreign:
    """A run folder, or a model of the user's own with what is to be known of it.

    Args:
        text: a folder; or `module:factory`, or a YAML mapping with the keys of `Foreign`.
        weights: of a model, a file.
        input_range: `low,high` of the pixels that a model wants.
        mean, std: one number, or one for every channel with commas between.

    Raises:
        UsageError: there is no such folder, or what belongs to a model is given for a run.
        InvalidRecord: a model's numbers are wrong.
    """
    scale = {"range": input_range, "mean": mean, "std": std}
    inputs = {key: parse_yaml(f"[{value}]", value) for key, value in scale.items() if value}
    if ":" in text and not Path(text).exists():
        return parse_foreign(text, weights or None, inputs or None)
    if not Path(text).exists():
        raise UsageError(f"{text}: no such run", "name a run folder, or a model as module:factory")
    if weights or inputs:
        raise UsageError(f"{text}: a run has weights and inputs of its own", "give them with module:factory alone")
    return Path(text)


def parse_foreign(text: str, weights: str | None = None, inputs: dict[str, Any] | None = None) -> Foreign:
    """A model given on the command line.

    Args:
        text: `module:factory`, or a YAML mapping with the keys of `Foreign`.
        weights, inputs: these keys, where the text does not hold them.

    Raises:
        InvalidRecord: it does not validate.
    """
    values = parse_yaml(text, text) if text.startswith("{") else {"model": text}
    given = {"weights": weights, "inputs": inputs}
    try:
        return Foreign.model_validate({key: value for key, value in given.items() if value} | values)
    except ValidationError as error:
        remedy = "write module:factory, or {model: module:factory, weights: FILE, inputs: {range: [0, 1]}}"
        raise InvalidRecord(text, problems_in(error, Foreign.model_fields), remedy) from None


def _fill(network: nn.Module, path: Path, model: str) -> None:
    if not path.exists():
        raise UsageError(f"{path}: no such file", "give a safetensors file")
    try:
        state = tensors_in(read_file(path), str(path))
    except CorruptInput as error:
        raise CorruptInput(error.cause, _CONVERT) from None
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        lines = printable(" ".join(line.strip() for line in str(error).splitlines()[1:3]))
        raise CorruptInput(f"{path}: not the weights of {model}: {lines}", "give the file of this network") from None
