"""State as a flat mapping of tensors by name: taken out of optimizers, and put back exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from sparring.errors import CorruptInput


def optimizer_state(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Every moment of an optimizer, as `PARAMETER/MOMENT`."""
    entries = optimizer.state_dict()["state"].items()
    return {f"{index}/{key}": value for index, moments in entries for key, value in moments.items()}


def load_optimizer_state(optimizer: torch.optim.Optimizer, state: Mapping[str, Tensor]) -> None:
    """Continue from `optimizer_state`."""
    entries: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        index, _, key = name.partition("/")
        entries.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})
    _lay_out(optimizer)


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
def fitting() -> Iterator[None]:
    """What does not fit becomes a CorruptInput."""
    try:
        yield
    except (RuntimeError, ValueError, KeyError) as error:
        first = str(error).splitlines()[0]
        raise CorruptInput(f"the checkpoint does not fit the recipe: {first}", "use the run's own recipe") from None


def _lay_out(optimizer: torch.optim.Optimizer) -> None:
    """Give every moment the memory layout of its parameter, which fused optimizers take for granted."""
    for parameter, entries in optimizer.state.items():
        for key, value in entries.items():
            if value.shape == parameter.shape and value.stride() != parameter.stride():
                entries[key] = torch.empty_like(parameter).copy_(value)
