"""A classifier prepared for attack: a faster copy in eval mode, with batch normalisations fused into convolutions.

In eval mode a normalisation is an affine map of every channel, so that with g = gamma / sqrt(variance + eps)

    BN(W * x + b) = (g W) * x + g (b - mean) + beta,

which is the same function up to rounding. Convolutions are found in the graph that `torch.fx` traces; a network that it
cannot trace, and a convolution with a reparametrised kernel, stay as they are. The copy calls functions instead of
modules: in small networks the calls of modules take about a tenth of a forward pass. A ReLU ahead of max pooling moves
behind it, to fewer pixels: max(relu(x)) = relu(max(x)). Where no gradient is taken, max pooling of 2 x 2
compares every second row and column, as torch's own also looks for the place of every maximum.
"""

from __future__ import annotations

import copy
from contextlib import redirect_stderr, suppress
from io import StringIO
from operator import attrgetter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.experimental.optimization import fuse
from torch.utils._pytree import tree_leaves

from sparring.core.modules import evaluating, untraced

_COMPARED = 16
"""Samples on which the copy is compared with the network."""
_TWO_BY_TWO = (2,), (2, 2, 0, 1, False, False)
"""Max pooling as a function is called, and as a module calls it: kernel, stride, padding, dilation and two options."""
_ROUNDING = 1e-4
"""Of outputs, relative to the largest one or to 1."""


def prepared_for_attack(network: nn.Module, samples: Tensor) -> nn.Module:
    """A faster copy of a network to run attacks on: in eval mode, frozen, fused, and in channels_last where it can be.

    The copy equals the network in eval mode up to rounding. Whether an attack succeeds is best judged by the network.

    Args:
        network: left unchanged.
        samples: a few that it accepts, `(n, ...)`.

    Returns:
        The copy; the network itself where it cannot be copied, or where the outputs of the copy differ.
    """
    few = samples[:_COMPARED]
    with untraced(network), evaluating(network), torch.no_grad():
        expected = _tensors(network(few))
        for layout in (torch.channels_last, torch.contiguous_format):
            # Some modules cannot be copied, and `view` refuses channels_last; torch.fx prints where that happened.
            with suppress(RuntimeError, TypeError), redirect_stderr(StringIO()):
                faster = fused(network, layout)
                if all(map(_close, _tensors(faster(few)), expected)):
                    return faster
    return network


def fused(network: nn.Module, layout: torch.memory_format = torch.channels_last) -> nn.Module:
    """The copy of `prepared_for_attack`, not compared with the network.

    Args:
        network: left unchanged.
        layout: of the weights in memory.
    """
    copied = copy.deepcopy(network).eval()
    with suppress(Exception):  # the network's own code runs on symbols, and may raise anything
        copied = fuse(copied)
    copied.eval().requires_grad_(False).to(memory_format=layout)  # type: ignore[call-overload]
    with suppress(Exception):
        copied = _inlined(copied)
    return copied.eval()


def _inlined(network: nn.Module) -> nn.Module:
    """The same network as one list of calls of functions, with all tensors at its root."""
    graph, held = _Inliner().trace(network), dict[str, Any]()
    _pool_first(graph)
    _pool_by_comparison(graph)
    for node in graph.nodes:
        if node.op in ("get_attr", "call_module"):
            name = f"held_{node.name}"
            held[name], node.target = attrgetter(node.target)(network), name
    return fx.GraphModule(held, graph)


def _pool_first(graph: fx.Graph) -> None:
    """Exchange every ReLU with the max pooling behind it, where nothing else uses its input or its output."""
    for pool in list(graph.nodes):
        if pool.target not in (F.max_pool2d, F.adaptive_max_pool2d) or pool.kwargs.get("return_indices"):
            continue
        relu = pool.args[0]
        if relu.target is F.relu and len(relu.users) == len(relu.args[0].users) == 1:
            pool.replace_input_with(relu, relu.args[0])
            pool.append(relu)
            pool.replace_all_uses_with(relu)
            relu.args = (pool, *relu.args[1:])


def _pool_by_comparison(graph: fx.Graph) -> None:
    """Replace every max pooling of 2 x 2 by `max_of_four`."""
    for pool in graph.nodes:
        if pool.target is F.max_pool2d and (*pool.args[1:], *pool.kwargs.values()) in _TWO_BY_TWO:
            pool.target, pool.args, pool.kwargs = max_of_four, pool.args[:1], {}


def max_of_four(x: Tensor) -> Tensor:
    """max_pool2d of 2 x 2, faster on the CPU where no gradient is taken; the gradient of comparisons is slower."""
    if x.requires_grad or x.device.type != "cpu":
        return F.max_pool2d(x, 2)
    rows = torch.maximum(x[..., :-1:2, :], x[..., 1::2, :])
    return torch.maximum(rows[..., :-1:2], rows[..., 1::2])


class _Inliner(fx.Tracer):
    """Traces through the modules of torch as well, but for normalisations, which look at the shape of their input."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.modules.batchnorm._NormBase)


def _tensors(outputs: Any) -> list[Tensor]:
    return [each for each in tree_leaves(outputs) if isinstance(each, Tensor)]


def _close(output: Tensor, expected: Tensor) -> bool:
    return torch.allclose(output, expected, rtol=_ROUNDING, atol=_ROUNDING * max(1.0, float(expected.abs().max())))
