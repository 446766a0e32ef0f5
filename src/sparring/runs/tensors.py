"""State as a flat mapping of tensors by name: taken from networks and optimizers, and loaded exactly or not at all.

Names, shapes and types must be those of the network or optimizer, and values finite: nothing is cast or broadcast.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

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
    """Continue from `optimizer_state`. A parameter without moments is one that never had a gradient.

    Raises:
        CorruptInput: the moments are not of these parameters.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    entries: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        index, _, key = name.partition("/")
        if not index.isdecimal() or int(index) >= len(parameters):
            raise CorruptInput(f"tensor {name!r} is not of this recipe", _REMEDY)
        if tensor.dim():  # else it counts steps
            _require_like({name: tensor}, {name: parameters[int(index)]})
        entries.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})
    _lay_out(optimizer)


def fill(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give a network its weights and buffers.

    Raises:
        CorruptInput: they are not those of this network.
    """
    _require_like(state, network.state_dict())
    network.load_state_dict(state)


def sums(state: dict[str, Tensor], lead: Sequence[int]) -> dict[str, Tensor]:
    """The running sums of the log, each with its count in front, for games of this lead shape.

    Raises:
        CorruptInput: they have another shape or type.
    """
    _require_like(state, dict.fromkeys(state, torch.empty(1 + prod(lead), dtype=torch.float64)))
    return state


def require_known(state: Mapping[str, Tensor], prefixes: Sequence[str]) -> None:
    """Refuse tensors that are no part of a state.

    Raises:
        CorruptInput: a name has none of these prefixes.
    """
    for name in state:
        if not name.startswith(tuple(prefixes)):
            raise CorruptInput(f"tensor {name!r} is not of this recipe", _REMEDY)


def within(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state with a prefix in front of every name."""
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The part of a state whose names have this prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def saved(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy of the state on the CPU, which later steps do not change."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in state.items()}


def _require_like(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuse the first tensor that has another name, shape or type than expected, or a value that is not finite."""
    for name in [*expected, *state]:
        if name not in state:
            raise CorruptInput(f"tensor {name!r} is missing", _REMEDY)
        if name not in expected:
            raise CorruptInput(f"tensor {name!r} is not of this recipe", _REMEDY)
        one, other = state[name], expected[name]
        if (one.shape, one.dtype) != (other.shape, other.dtype):
            shapes = f"{one.dtype} {tuple(one.shape)}, where {other.dtype} {tuple(other.shape)} belongs"
            raise CorruptInput(f"tensor {name!r}: {shapes}", _REMEDY)
        if not one.isfinite().all():
            raise CorruptInput(f"tensor {name!r}: not finite", _REMEDY)


def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Give every moment the memory layout of its parameter, as fused optimizers expect."""
    for parameter, entries in optimizer.state.items():
        for key, value in entries.items():
            if value.shape == parameter.shape and value.stride() != parameter.stride():
                entries[key] = torch.empty_like(parameter).copy_(value)
