"""State as a flat mapping of tensors by name: taken from networks and optimizers, and loaded into them again.

A checkpoint has passed its hashes and belongs to the recipe; what may differ is the network, in another version.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from sparring.core.errors import CorruptInput

_REMEDY = "restore the checkpoint of this run"


def tensors_in(data: bytes, source: str) -> dict[str, Tensor]:
    """The tensors in the bytes of a safetensors file.

    Args:
        data: the whole file.
        source: its name in errors.

    Raises:
        CorruptInput: it is not a safetensors file.
    """
    try:
        return load(data)
    except SafetensorError as error:
        raise CorruptInput(f"{source}: not a safetensors file ({error})", "restore the file") from None


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Every moment of an optimizer, as `PARAMETER/MOMENT`."""
    entries = optimizer.state_dict()["state"].items()
    return {f"{index}/{key}": value for index, moments in entries for key, value in moments.items()}


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Continue from `optimizer_state`. A parameter without moments is one that never had a gradient."""
    entries: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        index, _, key = name.partition("/")
        entries.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})
    # Fused optimizers expect moments in the memory layout of their parameter.
    for parameter, moments in optimizer.state.items():
        for key, value in moments.items():
            if value.shape == parameter.shape and value.stride() != parameter.stride():
                moments[key] = torch.empty_like(parameter).copy_(value)


def fill(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give a network its weights and buffers, exactly: nothing is cast or broadcast.

    Raises:
        CorruptInput: names, shapes or types are not those of this network.
    """
    expected = network.state_dict()
    for name in [*expected, *state]:
        if name not in state:
            raise CorruptInput(f"tensor {name!r} is missing", _REMEDY)
        if name not in expected:
            raise CorruptInput(f"tensor {name!r} is not of this recipe", _REMEDY)
        one, other = state[name], expected[name]
        if (one.shape, one.dtype) != (other.shape, other.dtype):
            shapes = f"{one.dtype} {tuple(one.shape)}, where {other.dtype} {tuple(other.shape)} belongs"
            raise CorruptInput(f"tensor {name!r}: {shapes}", _REMEDY)
    network.load_state_dict(state)


def within(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state with a prefix in front of every name."""
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The part of a state whose names have this prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def saved(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy of the state on the CPU, which later steps do not change."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in state.items()}
