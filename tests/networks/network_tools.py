"""Helpers for tests of networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparring.core.randomness import Rng
from sparring.core.shapes import IMAGE_BOUNDS, Space


def images(side: int, classes: int = 3, channels: int = 3) -> Space:
    """Square images in [-1, 1]."""
    return Space((channels, side, side), IMAGE_BOUNDS, classes)


def size(module: nn.Module) -> int:
    """The number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


@torch.no_grad()
def perturbed(network: nn.Module) -> nn.Module:
    """The network in fp64, with noise added to all parameters."""
    for index, parameter in enumerate(network.parameters()):
        parameter += 0.3 * Rng.of(index).normal(parameter.shape)
    return network.double()


def normalised(x: Tensor, eps: float = 1e-5) -> Tensor:
    """Batch normalisation without scale and shift."""
    return (x - x.mean((0, 2, 3), keepdim=True)) / torch.sqrt(x.var((0, 2, 3), correction=0, keepdim=True) + eps)
