"""What is done to a network for a moment and undone after it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import nn


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Parameters that gradients pass through without being computed for."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@contextmanager
def untraced(module: nn.Module) -> Iterator[None]:
    """A block that may run the network forward and leaves no trace: buffers and torch's random state are put back.

    Parameters are frozen, so that nothing is added to their gradients; modes are the block's own affair.
    """
    devices = {buffer.device for buffer in [*module.buffers(), *module.parameters()] if buffer.is_cuda}
    with frozen(module), _same_random_state(devices), same_buffers(module):
        yield


def _same_random_state(devices: set[torch.device]) -> AbstractContextManager[None]:
    """Torch's random state is put back after the block; while a CUDA graph is captured, torch lets nobody read it."""
    if devices and torch.cuda.is_current_stream_capturing():
        return nullcontext()
    return torch.random.fork_rng(devices=list(devices))


@contextmanager
def same_buffers(module: nn.Module) -> Iterator[None]:
    """A block that may run the network forward, and backward, and leaves its buffers as they were."""
    buffers = [
        (owner, name, buffer, buffer.clone())
        for owner in module.modules()
        for name, buffer in owner.named_buffers(recurse=False)
    ]
    try:
        yield
    finally:
        with torch.no_grad():
            for owner, name, buffer, before in buffers:
                setattr(owner, name, buffer.copy_(before))


def batch_statistics(module: nn.Module) -> str | None:
    """The name of the first layer that couples the samples of a batch in this mode, or None."""
    for name, layer in module.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and (layer.training or not layer.track_running_stats):
            return str(name)
    return None
