"""x W + b, with large products of fp32 on a CPU given to oneDNN.

torch's own products of matrices are MKL's, which takes processors of other makers than Intel for older ones than they
are and runs at half of their rate; oneDNN asks the processor what it can do. While
`torch.backends.mkldnn.enabled` is off, all products are torch's own.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.overrides import has_torch_function

WORTH_IT = 1 << 22
"""Multiply-adds of one product from which on a call of oneDNN from Python costs less than it saves."""


def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x W + b, which can be differentiated as often as one likes.

    Args:
        x: `(*lead, n, inputs)`.
        weight: `(*lead, inputs, outputs)`, where `lead` is `()` or `(replicas,)`.
        bias: `(*lead, outputs)`.
    """
    if _suits(x, weight):
        out: Tensor = _Affine.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return out
    if weight.dim() == 2:
        return torch.addmm(bias, x, weight)
    return torch.baddbmm(bias.unsqueeze(-2), x, weight)


class Linear(nn.Linear):
    """torch's own, by `affine`, of samples `(n, inputs)` and with a bias."""

    def forward(self, x: Tensor) -> Tensor:
        return affine(x, self.weight.mT, self.bias)


def _suits(x: Tensor, weight: Tensor) -> bool:
    return (
        math.prod(x.shape[-2:]) * weight.shape[-1] >= WORTH_IT
        and x.dtype is weight.dtype is torch.float32
        and x.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and not has_torch_function((x, weight))
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and bool(torch.backends.mkldnn.enabled)
    )


class _Affine(torch.autograd.Function):
    """x W + b, of the shapes of `affine`, or x W without b."""

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
    """x^T grad, laid out in memory as the weight is, so that the optimizer need not copy it."""
    return _times(grad.mT, x).mT if weight.mT.is_contiguous() else _times(x.mT, grad)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight.mT, bias, "none", [], "")
    return out
