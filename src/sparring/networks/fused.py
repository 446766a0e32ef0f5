"""A trained network for evaluation, with its batch normalisations inside the convolutions ahead of them.

In eval mode a normalisation is one number times its input plus another, for every channel, so that with
g = gamma / sqrt(variance + eps)

    BN(W * x + b) = (g W) * x + g (b - mean) + beta,

which rounds otherwise and is the same for the rest. A convolution whose kernel is reparametrised keeps its own.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves


def fused(network: nn.Module, samples: Tensor) -> nn.Module:
    """A copy in eval mode, frozen and in channels_last, to attack in place of the network.

    Which convolution a normalisation follows is seen in a forward pass of one sample; a network that takes other paths
    for others is not served.

    Args:
        network: left as it is.
        samples: one or more that it can see, `(n, ...)`.
    """
    twin = copy.deepcopy(network).eval().requires_grad_(False)
    for conv, name in _pairs(twin, samples[:1]):
        _absorb(conv, twin.get_submodule(name))
        twin.set_submodule(name, nn.Identity())
    return twin.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _absorb(conv: nn.Conv2d, norm: nn.Module) -> None:
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    conv.weight, conv.bias = fuse_conv_bn_weights(
        conv.weight,
        conv.bias,
        norm.running_mean,
        norm.running_var,
        norm.eps,
        norm.weight,
        norm.bias,
    )


def _pairs(network: nn.Module, samples: Tensor) -> Sequence[tuple[nn.Conv2d, str]]:
    """The convolutions whose output nothing but the normalisation of this name uses; each of both runs once a pass."""
    made: list[tuple[nn.Conv2d, Tensor]] = []
    given: list[tuple[str, Tensor]] = []

    def after(conv: nn.Module, _args: Any, out: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        made.append((conv, out))

    def before(name: str, x: Tensor) -> None:
        given.append((name, x))

    with ExitStack() as stack:
        for name, layer in network.named_modules():
            if isinstance(layer, nn.Conv2d) and not parametrize.is_parametrized(layer):
                stack.callback(layer.register_forward_hook(after).remove)
            elif isinstance(layer, nn.BatchNorm2d) and layer.track_running_stats:
                hook = layer.register_forward_pre_hook(lambda _layer, args, name=name: before(name, args[0]))
                stack.callback(hook.remove)
        stack.enter_context(torch.no_grad())
        uses = stack.enter_context(_Uses())
        network(samples)
    convs, norms = [conv for conv, _ in made], [name for name, _ in given]
    return [
        (conv, name)
        for name, x in given
        for conv, out in made
        if x is out and uses.of(out) == convs.count(conv) == norms.count(name) == 1
    ]


class _Uses(TorchFunctionMode):
    """Keeps what operations that make tensors are given."""

    def __init__(self) -> None:
        super().__init__()
        self._given: list[Any] = []

    def of(self, tensor: Tensor) -> int:
        """How often a tensor was given to an operation."""
        return sum(each is tensor for each in self._given)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if any(isinstance(each, Tensor) for each in tree_leaves(out)):
            self._given += tree_leaves((args, kwargs))
        return out
