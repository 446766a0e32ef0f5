"""Initial weights from an explicit random stream; no global random state is read.

A recipe's key `init` chooses them for G, D or a classifier. Every member of the family draws the weights of dense and
convolutional layers by their fans: fan_in (fan_out) is the number of inputs (outputs) of a layer times its kernel's
area. Embeddings and normalisation layers keep what the architecture gives them.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from sparring.core.pieces import Piece, piece
from sparring.core.randomness import Rng
from sparring.core.records import Positive


class Fans(NamedTuple):
    """The fan_in and fan_out of a layer. A layer of one's own is initialised if it has an attribute `fans`."""

    fan_in: int
    fan_out: int


class Init(Piece, family="init"):
    """The initial weights of a network."""

    @abstractmethod
    def apply(self, network: nn.Module, *, rng: Rng) -> None:
        """Initialise the network in place, layer by layer in order of registration.

        Args:
            network: as its architecture has built it.
            rng: of the weights; of all games, if they are packed.
        """


@piece("architecture")
class ArchitectureInit(Init):
    """As the source of the architecture has it; for `mlp`, as `uniform_fan_in`."""

    def apply(self, network: nn.Module, *, rng: Rng) -> None:
        pass


class LayerInit(Init):
    """Weights of every layer by one rule.

    Args:
        zero_bias: whether biases start at zero; otherwise they are U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)).
    """

    zero_bias: bool = True

    def apply(self, network: nn.Module, *, rng: Rng) -> None:
        initialise(network, lambda _name: self, rng=rng)

    @abstractmethod
    def weight(self, shape: Sequence[int], fans: Fans, *, rng: Rng) -> Tensor:
        """The weight of a layer."""

    def bias(self, shape: Sequence[int], fans: Fans, *, rng: Rng) -> Tensor:
        """The bias of a layer."""
        if self.zero_bias:
            return torch.zeros(tuple(shape))
        bound = 1.0 / math.sqrt(fans.fan_in)
        return rng.uniform(shape, -bound, bound)


@piece("uniform_fan_in")
class UniformFanInInit(LayerInit):
    """U(-1 / sqrt(fan_in), 1 / sqrt(fan_in)) for weights and biases, as torch starts dense layers."""

    zero_bias: bool = False

    def weight(self, shape: Sequence[int], fans: Fans, *, rng: Rng) -> Tensor:
        bound = 1.0 / math.sqrt(fans.fan_in)
        return rng.uniform(shape, -bound, bound)


@piece("glorot")
class GlorotInit(LayerInit):
    """U(-a, a), a = gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010, equation 16)."""

    gain: Positive = 1.0

    def weight(self, shape: Sequence[int], fans: Fans, *, rng: Rng) -> Tensor:
        bound = self.gain * math.sqrt(6.0 / sum(fans))
        return rng.uniform(shape, -bound, bound)


@piece("he")
class HeInit(LayerInit):
    """N(0, 2 / fan), fan being fan_in or fan_out (He et al. 2015, equations 10 and 14)."""

    fan: Literal["in", "out"] = "in"

    def weight(self, shape: Sequence[int], fans: Fans, *, rng: Rng) -> Tensor:
        fan = fans.fan_in if self.fan == "in" else fans.fan_out
        return math.sqrt(2.0 / fan) * rng.normal(shape)


@piece("normal")
class NormalInit(LayerInit):
    """N(0, std^2) (Radford et al. 2016, section 4, with 0.02)."""

    std: Positive = 0.02

    def weight(self, shape: Sequence[int], fans: Fans, *, rng: Rng) -> Tensor:
        return self.std * rng.normal(shape)


def glorot_residual(name: str) -> GlorotInit:
    """Glorot's: gain sqrt 2 for `conv1` and `conv2` of a block, 1 for all other layers."""
    inside_block = name.endswith(("conv1", "conv2"))
    return GlorotInit(gain=math.sqrt(2.0) if inside_block else 1.0)


@torch.no_grad()
def initialise(network: nn.Module, rule: Callable[[str], LayerInit], *, rng: Rng) -> None:
    """Draw weights and biases of dense and convolutional layers.

    Args:
        network: initialised in place, layer by layer in order of registration.
        rule: for the layer of this dotted name.
        rng: of the weights.
    """
    for name, layer in network.named_modules():
        fans = _fans(layer)
        if fans is not None:
            layer.weight.copy_(rule(name).weight(layer.weight.shape, fans, rng=rng))
            if isinstance(layer.bias, nn.Parameter):
                layer.bias.copy_(rule(name).bias(layer.bias.shape, fans, rng=rng))


def _fans(layer: nn.Module) -> Fans | None:
    if isinstance(layer, nn.Linear):
        return Fans(layer.in_features, layer.out_features)
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        area = math.prod(layer.kernel_size)
        return Fans(area * layer.in_channels, area * layer.out_channels)
    return getattr(layer, "fans", None)
