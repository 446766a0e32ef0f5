"""Affine maps x W + b on a CPU, with large fp32 products computed by oneDNN.

PyTorch gives matrix products to MKL, which on processors not made by Intel falls back to slow kernels and runs at half
of their rate; oneDNN asks the processor what it supports. PyTorch's own operations are used under `torch.compile` and
`torch.export`, in builds without oneDNN, and while `torch.backends.mkldnn.enabled` is off.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.overrides import has_torch_function

WORTH_IT = 1 << 22
"""The number of multiply-adds above which oneDNN saves more than its call from Python costs."""


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x W + b, differentiable any number of times.

    Args:
        x: `(*lead, n, inputs)`.
        weight: `(*lead, inputs, outputs)`, where `lead` is `()` or `(replicas,)`.
        bias: `(*lead, outputs)`.
    """
    # First, so that a traced graph depends on no size of a batch.
    if not torch.compiler.is_compiling() and _is_large(x, weight) and _suits(x, weight):
        out: Tensor = _Affine.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return out
    if weight.dim() == 2:
        return torch.addmm(bias, x, weight)
    return torch.baddbmm(bias.unsqueeze(-2), x, weight)


torch.fx.wrap("affine")  # its choice of a product is no part of a traced graph


class OneDNNLinear(nn.Linear):
    """`nn.Linear` with a bias for samples `(n, inputs)`, computed by `affine`."""

    def forward(self, x: Tensor) -> Tensor:
        return affine(x, self.weight.mT, self.bias)


def _is_large(x: Tensor, weight: Tensor) -> bool:
    return math.prod(x.shape[-2:]) * weight.shape[-1] >= WORTH_IT


def _suits(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN can compute this product."""
    return (
        x.dtype is weight.dtype is torch.float32
        and x.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and not has_torch_function((x, weight))
        and bool(torch.backends.mkldnn.enabled)
        and _has_onednn()
    )


@cache
def _has_onednn() -> bool:
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and hasattr(torch.ops.mkldnn, "_linear_pointwise")


class _Affine(torch.autograd.Function):
    """x W + b with the shapes of `affine`, or x W where b is None."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if x.dim() == 2:
            return _product(x, weight, bias)
        biases = [None] * len(x) if bias is None else bias
        return torch.stack([_product(*each) for each in zip(x, weight, biases, strict=True)])

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Any, ...], _output: Any) -> None:
        ctx.save_for_backward(*inputs[:2])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        for_x, for_weight, for_bias = ctx.needs_input_grad
        return (
            _times(grad, weight.mT) if for_x else None,
            _slope(x, weight, grad) if for_weight else None,
            grad.sum(-2) if for_bias else None,
        )


def _times(x: Tensor, weight: Tensor) -> Tensor:
    out: Tensor = _Affine.apply(x, weight, None)  # type: ignore[no-untyped-call]
    return out


def _slope(x: Tensor, weight: Tensor, grad: Tensor) -> Tensor:
    """x^T grad, in the memory layout of the weight, so that the optimizer does not copy it."""
    return _times(grad.mT, x).mT if weight.mT.is_contiguous() else _times(x.mT, grad)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight.mT, bias, "none", [], "")
    return out
