"""State as a flat mapping of tensors by name: taken out of networks and optimizers, and put back exactly or not at all.

What is put back has the very names, shapes and types that stand there, and finite values: nothing is cast or broadcast.
"""

from __future__ import annotations

import copy
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from sparring.core.errors import CorruptInput

_REMEDY = "restore the checkpoint of this very run"
_NAME_OF_A_SUM = re.compile(r"\w[\w ./-]{0,99}", re.ASCII)


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Every moment of an optimizer, as `PARAMETER/MOMENT`."""
    entries = optimizer.state_dict()["state"].items()
    return {f"{index}/{key}": value for index, moments in entries for key, value in moments.items()}


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Continue from `optimizer_state`.

    A parameter without any moment is one that never had a gradient.

    Raises:
        CorruptInput: the moments are not those of these parameters.
    """
    moved = {_parameter(name) for name in state}
    _require_like(state, {name: like for name, like in _moments(optimizer).items() if _parameter(name) in moved})
    entries: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        index, _, key = name.partition("/")
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
    """The running sums of a `Watch`, each with its count in front, for games of this lead shape.

    Raises:
        CorruptInput: they are something else.
    """
    like = torch.empty(1 + math.prod(lead), dtype=torch.float64)
    _require_like(state, dict.fromkeys(state, like))
    for name, packed in state.items():
        if not _NAME_OF_A_SUM.fullmatch(name) or packed[0] < 1 or packed[0] % 1:
            raise CorruptInput(f"tensor {name!r}: not a running sum", _REMEDY)
    return state


def require_known(state: Mapping[str, Tensor], prefixes: Sequence[str]) -> None:
    """Refuse tensors that are no part of a state.

    Raises:
        CorruptInput: a name has none of these prefixes.
    """
    for name in state:
        if not name.startswith(tuple(prefixes)):
            raise CorruptInput(f"tensor {name[:100]!r} is not of this recipe", _REMEDY)


def within(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state with a prefix in front of every name."""
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def below(prefix: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The part of a state whose names have this prefix, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def saved(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state as a file holds it: a copy, which what happens next leaves alone."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in state.items()}


@contextmanager
def of_file(path: Path) -> Iterator[None]:
    """What does not fit within the block is told with the file that it is in."""
    try:
        yield
    except CorruptInput as error:
        raise CorruptInput(f"{path}: {error.cause}", error.remedy) from None


def _require_like(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Refuse the first tensor that has another name, shape or type than expected, or a value that is not finite."""
    for name in [*expected, *found]:
        if name not in found:
            raise CorruptInput(f"tensor {name!r} is missing", _REMEDY)
        if name not in expected:
            raise CorruptInput(f"tensor {name[:100]!r} is not of this recipe", _REMEDY)
        one, other = found[name], expected[name]
        if (one.shape, one.dtype) != (other.shape, other.dtype):
            shapes = f"{one.dtype} {tuple(one.shape)[:10]}, where {other.dtype} {tuple(other.shape)} belongs"
            raise CorruptInput(f"tensor {name!r}: {shapes}", _REMEDY)
        if not one.isfinite().all():
            raise CorruptInput(f"tensor {name!r}: not finite", _REMEDY)


def _moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimizer keeps once every parameter had a gradient, as seen on a copy of it."""
    twin = copy.deepcopy(optimizer)
    for group in twin.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a step which could be captured is not
        twin.step()
    return optimizer_state(twin)


def _parameter(name: str) -> str:
    return name.partition("/")[0]


def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Give every moment the memory layout of its parameter, which fused optimizers take for granted."""
    for parameter, entries in optimizer.state.items():
        for key, value in entries.items():
            if value.shape == parameter.shape and value.stride() != parameter.stride():
                entries[key] = torch.empty_like(parameter).copy_(value)
