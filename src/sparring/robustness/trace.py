"""What an evaluation may not touch of a network, and whether it did: compared bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

State = Mapping[str, bytes | Tensor | None]


def state_of(network: nn.Module) -> State:
    """A copy of parameters, their gradients, buffers and modes by name."""

    def copies() -> Iterator[tuple[str, bytes | Tensor | None]]:
        for name, parameter in network.named_parameters():
            yield f"parameter {name}", parameter.detach().clone()
            yield f"gradient of {name}", None if parameter.grad is None else parameter.grad.detach().clone()
            yield f"requires_grad of {name}", bytes([parameter.requires_grad])
        for name, buffer in network.named_buffers():
            yield f"buffer {name}", buffer.detach().clone()
        for name, module in network.named_modules():
            yield f"mode of {name or 'the network'}", bytes([module.training])

    return dict(copies())


def changed(before: State, after: State) -> list[str]:
    """The names of what is not the same any more, bit for bit."""
    names = dict.fromkeys([*before, *after])
    return [name for name in names if name not in before or not _same(before[name], after.get(name))]


def _same(one: bytes | Tensor | None, other: bytes | Tensor | None) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return one.shape == other.shape and one.dtype == other.dtype and torch.equal(_bits(one), _bits(other))
    return type(one) is type(other) and one == other


def _bits(values: Tensor) -> Tensor:
    return values.contiguous().reshape(-1).view(torch.uint8)
