"""Fully connected networks, for one game or for packed games in one batched matrix product.

Source: Xu, Li, Jegelka, appendix B.1 (G: 3 hidden layers of 64; D: 3 hidden layers of 256; ReLU).
"""

from __future__ import annotations

import itertools
import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.compiler import is_compiling

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Widths
from sparring.core.shapes import Space
from sparring.networks.base import Generator
from sparring.networks.heads import Discriminator, DiscriminatorModule
from sparring.networks.initial import Fans
from sparring.networks.products import WORTH_IT, affine


class Dense(nn.Module):
    """x W + b with weights of shape `(*lead, inputs, outputs)`, one for each packed game.

    Weights and biases start from U(-1 / sqrt(inputs), 1 / sqrt(inputs)); b is zero without a bias.
    """

    def __init__(self, inputs: int, outputs: int, lead: tuple[int, ...], *, rng: Rng, bias: bool = True) -> None:
        super().__init__()
        self.fans = Fans(inputs, outputs)
        bound = 1.0 / math.sqrt(inputs)
        self.weight = nn.Parameter(rng.uniform((*lead, inputs, outputs), -bound, bound))
        if bias:
            self.bias = nn.Parameter(rng.uniform((*lead, outputs), -bound, bound))
        else:
            self.register_buffer("bias", torch.zeros(*lead, outputs), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.weight.dim() == 2 and (is_compiling() or x.shape[0] * self.weight.numel() < WORTH_IT):
            return torch.addmm(self.bias, x, self.weight)  # a small product of a single game: no detour
        return affine(x, self.weight, self.bias)


class DenseLayers(nn.Module):
    """Dense layers with ReLU between them."""

    def __init__(self, widths: tuple[int, ...], lead: tuple[int, ...], *, rng: Rng) -> None:
        super().__init__()
        pairs = itertools.pairwise(widths)
        self.layers = nn.ModuleList(Dense(a, b, lead, rng=rng) for a, b in pairs)

    def forward(self, x: Tensor) -> Tensor:
        *hidden, last = self.layers
        for layer in hidden:
            x = torch.relu_(layer(x))  # in place: a dense layer's backward pass needs its input, not its output
        out: Tensor = last(x)
        return out


class MLPGeneratorModule(nn.Module):
    """Codes `(*batch, inputs)` to samples `(*batch, *shape)`, through tanh if samples are bounded."""

    def __init__(self, layers: DenseLayers, space: Space) -> None:
        super().__init__()
        self.layers = layers
        self.shape = space.shape
        self.output: nn.Module = nn.Identity() if space.bounds is None else ScaledTanh(space.bounds)

    def forward(self, codes: Tensor) -> Tensor:
        out: Tensor = self.output(self.layers(codes))
        return out.reshape(codes.shape[:-1] + self.shape)


class ScaledTanh(nn.Module):
    """tanh, scaled to a range."""

    def __init__(self, bounds: tuple[float, float]) -> None:
        super().__init__()
        low, high = bounds
        self.middle, self.reach = (low + high) / 2, (high - low) / 2

    def forward(self, x: Tensor) -> Tensor:
        return self.middle + self.reach * torch.tanh(x)


class MLPTrunk(nn.Module):
    """Samples `(*batch, *shape)` to features `(*batch, width)`: dense layers with ReLU after each."""

    def __init__(self, widths: tuple[int, ...], space: Space, lead: tuple[int, ...], *, rng: Rng) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Dense(a, b, lead, rng=rng) for a, b in itertools.pairwise(widths))
        self.sample_axes = len(space.shape)

    def forward(self, samples: Tensor) -> Tensor:
        x = samples.flatten(-self.sample_axes)
        for layer in self.layers:
            x = torch.relu_(layer(x))
        return x


@piece("mlp")
class MLPGenerator(Generator):
    """Fully connected generator with ReLU; packs replicas.

    Args:
        hidden: the width of every hidden layer.
    """

    packs: ClassVar[bool] = True

    hidden: Widths = (64, 64, 64)

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> nn.Module:
        widths = (self.inputs(space), *self.hidden, math.prod(space.shape))
        return MLPGeneratorModule(DenseLayers(widths, lead, rng=rng), space)


@piece("mlp")
class MLPDiscriminator(Discriminator):
    """Fully connected discriminator with ReLU; packs replicas.

    Args:
        hidden: the width of every hidden layer.
    """

    packs: ClassVar[bool] = True

    hidden: Widths = (256, 256, 256)

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> DiscriminatorModule:
        widths = (math.prod(space.shape), *self.hidden)
        trunk = MLPTrunk(widths, space, lead, rng=rng)

        def dense(inputs: int, outputs: int, bias: bool) -> Dense:
            return Dense(inputs, outputs, lead, rng=rng, bias=bias)

        return self.with_head(trunk, widths[-1], space, dense)
