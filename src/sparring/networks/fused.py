"""A classifier prepared for attack: a faster copy in eval mode, with batch normalisations fused into convolutions.

In eval mode a normalisation is an affine map of every channel, so that with g = gamma / sqrt(variance + eps)

    BN(W * x + b) = (g W) * x + g (b - mean) + beta,

which is the same function up to rounding. A convolution with a reparametrised kernel is not fused.
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

from sparring.core.modules import evaluating, untraced

_COMPARED = 16
"""Samples on which the copy is compared with the network."""
_ROUNDING = 1e-4
"""Of outputs, relative to the largest one or to 1."""


def prepared_for_attack(network: nn.Module, samples: Tensor) -> nn.Module:
    """A faster copy of a network to run attacks on: in eval mode, frozen, fused and in channels_last.

    The copy equals the network in eval mode up to rounding. Whether an attack succeeds is best judged by the network.

    Args:
        network: left unchanged.
        samples: a few that it accepts, `(n, ...)`.

    Returns:
        The copy; the network itself where it cannot be copied, or where the outputs of the copy differ.
    """
    few = samples[:_COMPARED]
    with untraced(network), evaluating(network), torch.no_grad():
        try:
            faster = fused(network, few)
        except (RuntimeError, TypeError):  # some modules cannot be copied
            return network
        expected, outputs = (_tensors(each(few)) for each in (network, faster))
    return faster if all(map(_close, outputs, expected)) else network


def fused(network: nn.Module, samples: Tensor) -> nn.Module:
    """The copy of `prepared_for_attack`, not compared with the network.

    The convolution ahead of a normalisation is found in a forward pass of one sample; a network that takes other paths
    for other samples is not supported.
    """
    copied = copy.deepcopy(network).eval().requires_grad_(False)
    for conv, name in _pairs(copied, samples[:1]):
        _absorb(conv, copied.get_submodule(name))
        copied.set_submodule(name, nn.Identity())
    return copied.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _tensors(outputs: Any) -> list[Tensor]:
    return [each for each in tree_leaves(outputs) if isinstance(each, Tensor)]


def _close(output: Tensor, expected: Tensor) -> bool:
    return torch.allclose(output, expected, rtol=_ROUNDING, atol=_ROUNDING * max(1.0, float(expected.abs().max())))


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
    """Convolutions with the name of a normalisation that is the only user of their output; both run once a pass."""
    outputs: list[tuple[nn.Conv2d, Tensor]] = []
    inputs: list[tuple[str, Tensor]] = []

    def after(conv: nn.Module, _args: Any, out: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        outputs.append((conv, out))

    def before(name: str, x: Tensor) -> None:
        inputs.append((name, x))

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
    convs, norms = [conv for conv, _ in outputs], [name for name, _ in inputs]
    return [
        (conv, name)
        for name, x in inputs
        for conv, out in outputs
        if x is out and uses.of(out) == convs.count(conv) == norms.count(name) == 1
    ]


class _Uses(TorchFunctionMode):
    """Records the inputs of all operations that return tensors."""

    def __init__(self) -> None:
        super().__init__()
        self._inputs: list[Any] = []

    def of(self, tensor: Tensor) -> int:
        """How many operations had a tensor as an input."""
        return sum(each is tensor for each in self._inputs)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if any(isinstance(each, Tensor) for each in tree_leaves(out)):
            self._inputs += tree_leaves((args, kwargs))
        return out
