"""A classifier of the user's own as a target: made by a function, with weights from a file and its own input range."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from sparring.core.errors import CorruptInput, UsageError, printable
from sparring.core.files import read_file, sha256
from sparring.core.pieces import import_object, members
from sparring.core.records import Record
from sparring.core.shapes import IMAGE_BOUNDS, Samples, expand_like
from sparring.data import Data, Store
from sparring.recipes import parse_piece, parse_yaml
from sparring.robustness.run_targets import OpenedTargets, labelled_samples
from sparring.robustness.targets import Target, target_of
from sparring.runs.environment import choose_device
from sparring.runs.tensors import tensors_in

_CONVERT = (
    "if you trust it, turn it into safetensors: "
    "python -c 'import sys, torch; from safetensors.torch import save_file; "
    "save_file(torch.load(sys.argv[1], weights_only=True), sys.argv[2])' WEIGHTS.pt WEIGHTS.safetensors "
    "(or let the function that makes the network load it)"
)
_FEW = 16
Channels = Annotated[tuple[float, ...], Field(strict=False, min_length=1)]


class InputScale(Record):
    """The network's input for an image with pixels p in [0, 1]: (low + p (high - low) - mean) / std.

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


class ScaledInput(nn.Module):
    """A network behind its input scale; takes images in [-1, 1].

    Args:
        network: the user's.
        scale: of its inputs.
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


class OwnModel(Record):
    """A model of the user's own.

    Args:
        model: `package.module:factory`, a function or class that makes the network without arguments, or a network.
        weights: a safetensors file; None keeps the network's own.
        inputs: the scale of its inputs.
    """

    model: str = Field(pattern=r"^[\w.]+:[\w.]+$")
    weights: str | None = None
    inputs: InputScale = InputScale()

    def described(self, data: str | None) -> dict[str, Any]:
        """Model, weights with their hash, inputs and data, as robustness.json records them."""
        digest = sha256(Path(self.weights)) if self.weights else None
        return self.model_dump(mode="json") | {"weights_sha256": digest, "data": data}

    def load(self, device: torch.device) -> ScaledInput:
        """The network with its weights, in eval mode, for images in [-1, 1].

        Raises:
            UsageError: it cannot be made, or there is no such file.
            CorruptInput: the file of weights is not safetensors, or not of this network.
            StorageError: it cannot be read.
        """
        try:
            made = import_object(self.model)
            network = made if isinstance(made, nn.Module) else made()
        except Exception as error:  # any code may run here
            raise UsageError(
                f"model = {self.model!r}: cannot be made: {type(error).__name__}: {error}",
                "name a function without arguments, from a module of the working folder",
            ) from None
        if not isinstance(network, nn.Module):
            raise UsageError(
                f"model = {self.model!r}: makes a {type(network).__name__}, not a torch.nn.Module",
                "return the network itself",
            )
        if self.weights is not None:
            _load_weights(network, Path(self.weights), self.model)
        return ScaledInput(network, self.inputs).to(device).eval()

    def open(self, data: str | None, *, samples: int, seed: int, device: str) -> OpenedTargets:
        """The model as a target, with samples of labelled images.

        Args:
            data: `digits`, a store's folder, or another source as in a recipe.
            samples: how many, at most, and as many training samples.
            seed: of the choice of samples.
            device: where to attack.

        Raises:
            UsageError: no data, data without labels, or inputs for another number of channels; see also `load`.
        """
        if data is None:
            raise UsageError(f"{self.model}: no data are given", "add --data digits, or --data with a store's folder")
        place = choose_device(device)
        source = _parse_data(data).open(place)
        facts = source.facts
        if facts.bounds != IMAGE_BOUNDS or not facts.classes:
            raise UsageError(f"data = {data}: not labelled images", "give labelled images, for example digits")
        for key in ("mean", "std"):
            count = len(getattr(self.inputs, key))
            if count not in (1, facts.shape[0]):
                raise UsageError(
                    f"{self.model}: {key} has {count} numbers, and the images have {facts.shape[0]} channels",
                    "give one number, or one for every channel",
                )
        held_out, training = labelled_samples(source, samples, seed, place)
        assert held_out.labels is not None
        target = target_of(
            self.load(place),
            held_out.samples,
            held_out.labels,
            low=IMAGE_BOUNDS.low,
            high=IMAGE_BOUNDS.high,
            name=self.model,
            classes=facts.classes,
            evaluated_on=facts.evaluated_on,
            training=training,
        )
        return OpenedTargets((target,), None, ())

    def beside(self, target: Target) -> Target:
        """The model as a source of transfer attacks on a target, with a few of the target's samples."""
        network = self.load(target.samples.device)
        made = target_of(network, target.samples[:_FEW], target.labels[:_FEW], low=None, high=None)
        return replace(made, name=self.model, space=target.space)


def run_or_model(
    text: str, *, weights: str = "", input_range: str = "", mean: str = "", std: str = ""
) -> Path | OwnModel:
    """A run folder, or a model of the user's own.

    Args:
        text: a folder; or `module:factory`, or a YAML mapping with the keys of `OwnModel`.
        weights: of a model, a file.
        input_range: `low,high` of a model's input pixels.
        mean, std: one number, or one for every channel, separated by commas.

    Raises:
        UsageError: there is no such folder, or settings of a model are given for a run.
        InvalidRecord: a setting of a model is invalid.
    """
    scale = {"range": input_range, "mean": mean, "std": std}
    inputs = {key: parse_yaml(f"[{value}]", value) for key, value in scale.items() if value}
    if ":" in text and not Path(text).exists():
        return parse_model(text, weights or None, inputs or None)
    if not Path(text).exists():
        raise UsageError(f"{text}: no such run", "name a run folder, or a model as module:factory")
    if weights or inputs:
        raise UsageError(f"{text}: a run has its own weights and inputs", "give them with module:factory alone")
    return Path(text)


def parse_model(text: str, weights: str | None = None, inputs: dict[str, Any] | None = None) -> OwnModel:
    """A model given on the command line.

    Args:
        text: `module:factory`, or a YAML mapping with the keys of `OwnModel`.
        weights, inputs: these keys, unless the text holds them.

    Raises:
        InvalidRecord: it does not validate.
    """
    values = parse_yaml(text, text) if text.startswith("{") else {"model": text}
    settings = {"weights": weights, "inputs": inputs}
    remedy = "write module:factory, or {model: module:factory, weights: FILE, inputs: {range: [0, 1]}}"
    return OwnModel.validated({key: value for key, value in settings.items() if value} | values, text, remedy)


def _parse_data(text: str) -> Data:
    if text in members(Data) or text.startswith("{"):
        return parse_piece(Data, text)
    return Store(path=text)


def _load_weights(network: nn.Module, path: Path, model: str) -> None:
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
