"""A model of the user's own: made by a function, with weights from a file and inputs of its own scale."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import AfterValidator, Field, field_validator, model_validator
from torch import Tensor, nn

from sparring.core.boundary import module_from
from sparring.core.errors import UsageError
from sparring.core.files import sha256
from sparring.core.pieces import import_object
from sparring.core.records import Problem, Record, as_one
from sparring.core.shapes import Samples
from sparring.robustness.onnx_network import OnnxNetwork
from sparring.robustness.targets import Target, target_of
from sparring.robustness.weights import load_weights

_BLACK_BOX = "an ONNX model has no gradients: black-box attacks alone were tried, so these accuracies are upper bounds"
Channels = Annotated[tuple[float, ...], Field(strict=False, min_length=1)]


def _ascends(ends: tuple[float, float]) -> tuple[float, float]:
    low, high = ends
    if low >= high:
        raise ValueError(f"{low:g} is not below {high:g}")
    return ends


Ends = Annotated[tuple[float, float], Field(strict=False), AfterValidator(_ascends)]
"""Low and high of a range."""


class OwnModel(Record):
    """A model of the user's own. Of pixels p in [0, 1] it sees (low + p (high - low) - mean) / std.

    Args:
        model: `package.module:factory`, a function or class that makes the network without arguments, or
            the network itself; or an ONNX file.
        weights: a safetensors file, or a .pt or .pth file of `torch.save`; None keeps the network's own.
        input_range: low and high.
        mean, std: of every channel, or one for all.
    """

    model: str = Field(pattern=r"^[\w.]+:[\w.]+$|\.onnx$")
    weights: str | None = None
    input_range: Ends = (0.0, 1.0)
    mean: Channels = (0.0,)
    std: Channels = (1.0,)

    @field_validator("std")
    @classmethod
    def _divides(cls, std: tuple[float, ...]) -> tuple[float, ...]:
        if min(std) <= 0:
            raise ValueError("should be above 0")
        return std

    @model_validator(mode="after")
    def _has_one_source_of_weights(self) -> OwnModel:
        if self.is_onnx and self.weights is not None:
            raise as_one([Problem(path=("weights",), value=repr(self.weights), message="an ONNX file has its own")])
        return self

    @property
    def is_onnx(self) -> bool:
        """Whether it is an ONNX file, which has no gradients."""
        return self.model.endswith(".onnx")

    def described(self, data: str | None) -> dict[str, Any]:
        """Model, weights with their hash, input range and data, as robustness.json records them."""
        file = self.model if self.is_onnx else self.weights
        digest = sha256(Path(file)) if file else None
        return self.model_dump(mode="json") | {"weights_sha256": digest, "data": data}

    def load(self, device: torch.device) -> nn.Module:
        """The network with its weights, in eval mode, for images in [-1, 1]; as `open`."""
        return self.open(device).of_pixels(self)

    def open(self, device: torch.device) -> LoadedModel:
        """The network with its weights, in eval mode, for inputs of its own scale.

        Raises:
            UsageError: it cannot be made, or there is no such file.
            CorruptInput: the weights cannot be read, or are not of this network.
        """
        if self.is_onnx:
            return LoadedModel(self, OnnxNetwork(Path(self.model)).eval(), device, (_BLACK_BOX,))
        try:
            made = import_object(self.model)
            network = made if isinstance(made, nn.Module) else made()
        except (Exception, SystemExit) as error:  # any code may run here
            raise UsageError(
                f"model = {self.model!r}: cannot be made: {type(error).__name__}: {error}",
                "name a function without arguments of a module in the working folder, without .py: mymodule:factory",
            ) from None
        network = module_from(network, self.model).float()
        remarks = () if self.weights is None else load_weights(network, Path(self.weights))
        return LoadedModel(self, network.to(device).eval(), device, remarks)

    def beside(self, target: Target) -> Target:
        """The model as a source of transfer attacks on a target, with a few of the target's samples."""
        low, high = target.space.bounds or (None, None)
        if self.is_onnx:
            raise UsageError(f"{self.model}: has no gradients to attack", "transfer from a run, or a model in PyTorch")
        few = target.first(2)
        network = self.load(few.device)
        return target_of(network, few.samples[:], few.labels, low=low, high=high, name=self.model)


@dataclass(frozen=True)
class LoadedModel:
    """A network as it was made, in eval mode.

    Args:
        model: what it was made from.
        network: for inputs of its own scale.
        device: where it is.
        remarks: on its weights.
    """

    model: OwnModel
    network: nn.Module
    device: torch.device
    remarks: tuple[str, ...]

    def of_pixels(self, scale: OwnModel) -> nn.Module:
        """The network for images in [-1, 1].

        Args:
            scale: the same model, or with another input range or normalisation.
        """
        return _OfPixels(self.network, scale).to(self.device).eval()


class _OfPixels(nn.Module):
    """A network behind the input scale of its model, for images in [-1, 1]."""

    def __init__(self, network: nn.Module, model: OwnModel) -> None:
        super().__init__()
        self.network, self.range = network, model.input_range
        self.register_buffer("mean", torch.tensor(model.mean).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(model.std).reshape(-1, 1, 1), persistent=False)

    def extra_repr(self) -> str:
        return f"range={self.range}"

    def forward(self, samples: Samples) -> Tensor:
        low, high = self.range
        pixels = low + (samples + 1) / 2 * (high - low)
        logits: Tensor = self.network((pixels - self.get_buffer("mean")) / self.get_buffer("std"))
        return logits
