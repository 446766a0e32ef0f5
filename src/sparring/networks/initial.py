"""Initial weights from an explicit random stream; no global random state is read."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from sparring.core.randomness import Rng

Initialiser = Callable[[Tensor, Rng], Tensor]
_Weighted = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def normal(std: float) -> Initialiser:
    """N(0, std^2)."""

    def draw(weight: Tensor, rng: Rng) -> Tensor:
        return std * rng.normal(weight.shape)

    return draw


def xavier_uniform(gain: float = 1.0) -> Initialiser:
    """U(-a, a), a = gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""

    def draw(weight: Tensor, rng: Rng) -> Tensor:
        field = weight[0, 0].numel() if weight.dim() > 2 else 1
        bound = gain * math.sqrt(6.0 / (field * (weight.shape[0] + weight.shape[1])))
        return rng.uniform(weight.shape, -bound, bound)

    return draw


def kaiming_normal() -> Initialiser:
    """N(0, 2 / fan_out) (He et al. 2015, section 2.2, equation (14))."""

    def draw(weight: Tensor, rng: Rng) -> Tensor:
        return math.sqrt(2.0 / weight[:, 0].numel()) * rng.normal(weight.shape)

    return draw


def xavier_residual(name: str) -> Initialiser:
    """Xavier-uniform: gain sqrt 2 for `conv1` and `conv2` of a block, 1 for all other layers."""
    inside_block = name.endswith(("conv1", "conv2"))
    return xavier_uniform(math.sqrt(2.0) if inside_block else 1.0)


@torch.no_grad()
def initialise(module: nn.Module, draw: Callable[[str], Initialiser], *, rng: Rng) -> None:
    """Draw the weights of linear and convolutional layers and set their biases to zero.

    Args:
        module: initialised in place, layer by layer in order of registration.
        draw: the initialiser for the layer of this dotted name.
        rng: of the weights.
    """
    for name, layer in module.named_modules():
        if isinstance(layer, _Weighted):
            layer.weight.copy_(draw(name)(layer.weight, rng))
            if layer.bias is not None:
                layer.bias.zero_()
