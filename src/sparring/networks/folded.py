"""A 3 x 3 convolution and the change of side next to it as one operation with fewer products.

With the sums of neighbours in a 3 x 3 kernel, which is 0 outside,

    S[p, q] = sum over a, b in {0, 1} of w[p - a, q - b],    p, q = 0 ... 3,

    mean over 2 x 2 of w * x        is the convolution of x with S / 4, stride 2,
    w * (every pixel of x 2 x 2)    is the transposed convolution of x with S, turned by half a turn, stride 2,

all with a padding of 1 pixel: 16 products a small pixel instead of 36. Borders are the same, as the padding is zero.

The weights of a layer are those of the convolution; `plain` is its definition, and `forward` equals it up to rounding,
in gradients of every order too. A reparametrised kernel is computed once a pass.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn


class FoldedConv(nn.Conv2d, ABC):
    """A 3 x 3 convolution that keeps the side, with a change of the side before or after it.

    Args:
        inputs: channels.
        outputs: channels.
        bias: whether it has one.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)

    @abstractmethod
    def forward(self, input: Tensor) -> Tensor: ...

    @abstractmethod
    def plain(self, x: Tensor) -> Tensor:
        """The definition, one operation after the other."""


class PooledConv(FoldedConv):
    """A convolution, then the mean over 2 x 2."""

    def forward(self, input: Tensor) -> Tensor:
        return F.conv2d(input, _sums_of_neighbours(0.25 * self.weight), self.bias, stride=2, padding=1)

    def plain(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(F.conv2d(x, self.weight, self.bias, padding=1), 2)


class UpsampledConv(FoldedConv):
    """Every pixel repeated 2 x 2, then a convolution."""

    def forward(self, input: Tensor) -> Tensor:
        kernel = _sums_of_neighbours(self.weight.flip(2, 3))
        return F.conv_transpose2d(input, kernel.transpose(0, 1), self.bias, stride=2, padding=1)

    def plain(self, x: Tensor) -> Tensor:
        return F.conv2d(F.interpolate(x, scale_factor=2.0, mode="nearest"), self.weight, self.bias, padding=1)


def unfold(network: nn.Module) -> None:
    """Compute every folded layer of a network by its definition, with the same parameters: for comparisons."""
    for layer in network.modules():
        if isinstance(layer, FoldedConv):
            layer.forward = layer.plain  # type: ignore[method-assign, assignment]


def _sums_of_neighbours(kernel: Tensor) -> Tensor:
    """S, `(outputs, inputs, 3, 3) -> (outputs, inputs, 4, 4)`: over neighbours in a column, then in a row."""
    columns = F.pad(kernel, (0, 0, 0, 1)) + F.pad(kernel, (0, 0, 1, 0))
    return F.pad(columns, (0, 1)) + F.pad(columns, (1, 0))
