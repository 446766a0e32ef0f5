"""Networks as others use them: changed for a block and restored, and differentiated by their samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from sparring.core.randomness import Rng, seed_torch
from sparring.core.shapes import Samples, Scores


@contextmanager
def frozen(parameters: Iterable[nn.Parameter]) -> Iterator[None]:
    """No gradients for these parameters within the block; gradients with respect to inputs still flow."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode within the block; every submodule gets its own mode back."""
    modes = [(each, each.training) for each in module.modules()]
    if any(training for _, training in modes):
        module.eval()
    try:
        yield
    finally:
        for each, mode in modes:
            if each.training != mode:
                each.training = mode


@contextmanager
def untraced(module: nn.Module) -> Iterator[None]:
    """Forward passes within the block leave no trace: parameters are frozen, buffers and random state restored.

    The mode of the network, training or eval, is left to the caller.
    """
    devices = {buffer.device for buffer in [*module.buffers(), *module.parameters()] if buffer.is_cuda}
    with frozen(module.parameters()), torch.random.fork_rng(devices=list(devices)), same_buffers(module):
        yield


@contextmanager
def noise_from(rng: Rng) -> Iterator[None]:
    """Torch's own random numbers, which randomised networks draw, follow a stream within the block."""
    with same_noise(rng.device):
        seed_torch(int(rng.integers((1,), 2**62)), rng.device)
        yield


def same_noise(device: torch.device) -> AbstractContextManager[None]:
    """A block after which torch's own generators of the CPU and of a device are as before."""
    return torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])


@contextmanager
def full_precision() -> Iterator[None]:
    """Products and convolutions in fp32 without TF32, whatever was trained before; its rounding can mask gradients."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def is_expanded(tensor: Tensor) -> bool:
    """Whether several entries share one place in memory, as after `expand`."""
    return any(size > 1 and stride == 0 for size, stride in zip(tensor.shape, tensor.stride(), strict=True))


@contextmanager
def same_buffers(module: nn.Module) -> Iterator[None]:
    """Forward and backward passes within the block leave the buffers as they were."""
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
                # One that was expanded cannot be written to, by the network neither.
                setattr(owner, name, buffer if is_expanded(buffer) else buffer.copy_(before))


def plain_weights(module: nn.Module) -> dict[str, Tensor]:
    """The state of a network by the names that it has without reparametrisations; such weights as they are computed."""
    state = {name: tensor for name, tensor in module.state_dict().items() if "parametrizations." not in name}
    for path, layer in module.named_modules():
        if parametrize.is_parametrized(layer):
            state |= {f"{path}.{name}": getattr(layer, name).detach() for name in layer.parametrizations}
    return state


def batch_statistics(module: nn.Module) -> str | None:
    """The name of the first layer that couples the samples of a batch in its current mode, or None."""
    for name, layer in module.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and (layer.training or not layer.track_running_stats):
            return str(name)
    return None


class Scored(NamedTuple):
    """Scores `(*batch)` and their gradients `(*batch, ...)`."""

    score: Scores
    gradient: Samples


def input_gradient(score: Callable[[Samples], Scores], x: Samples, *, create_graph: bool = False) -> Scored:
    """The score and the gradient of every sample; exact if samples do not affect each other's scores.

    Args:
        score: `(*batch, ...) -> (*batch)`.
        x: `(*batch, ...)`; taken as constants.
        create_graph: whether the result is differentiable in the network's parameters; detached otherwise.
    """
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        value = score(leaf)
        # The gradient of the sum: no factor of the batch size.
        (gradient,) = torch.autograd.grad(value.sum(), leaf, create_graph=create_graph)
    return Scored(value if create_graph else value.detach(), gradient)
