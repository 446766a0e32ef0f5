"""The residual discriminator of SN-GAN and Rob-GAN, of any widths and at any side.

A first block on the image, blocks of which the first ones halve the side, ReLU, sum over the image, a head. Shortcuts
have weights only where the side or the channels change.

Source: Miyato, Kataoka, Koyama, Yoshida 2018, appendix B.4; Rob-GAN, figure 4; both as in their published code.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from sparring.errors import UsageError
from sparring.networks.base import require_bottom
from sparring.networks.discriminators import Discriminator, DiscriminatorModule
from sparring.networks.initial import initialise, xavier_residual
from sparring.randomness import Rng
from sparring.records import Count, Widths
from sparring.shapes import Space


class Layers(NamedTuple):
    """What blocks are made of.

    Args:
        conv: (inputs, outputs, odd side of the kernel) to a convolution that keeps the side of the image.
        norm: channels to a normalisation, or to the identity.
    """

    conv: Callable[[int, int, int], nn.Module]
    norm: Callable[[int], nn.Module]


class FirstBlock(nn.Module):
    """Convolution, norm, ReLU, convolution, norm, mean pooling; the shortcut pools, convolves and normalises.

    Args:
        channels: of the images.
        width: channels of the result.
        layers: what it is made of.
    """

    def __init__(self, channels: int, width: int, layers: Layers) -> None:
        super().__init__()
        self.conv1, self.conv2 = layers.conv(channels, width, 3), layers.conv(width, width, 3)
        self.norm1, self.norm2 = layers.norm(width), layers.norm(width)
        self.pool = nn.AvgPool2d(2)
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), layers.conv(channels, width, 1), layers.norm(width))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
        out: Tensor = self.pool(h) + self.shortcut(x)
        return out


class Block(nn.Module):
    """ReLU, convolution, norm, ReLU, convolution, norm, added to a shortcut; then resampling.

    The first convolution keeps the channels of x, the second makes the new ones.

    Args:
        inputs: channels of x.
        width: channels of the result.
        layers: what it is made of.
        shortcut: x to what is added.
        resample: halves the side, or keeps it; linear, so that once serves both branches.
    """

    def __init__(self, inputs: int, width: int, layers: Layers, shortcut: nn.Module, resample: nn.Module) -> None:
        super().__init__()
        self.conv1, self.conv2 = layers.conv(inputs, inputs, 3), layers.conv(inputs, width, 3)
        self.norm1, self.norm2 = layers.norm(inputs), layers.norm(width)
        self.shortcut, self.resample = shortcut, resample

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(torch.relu(x))))))
        out: Tensor = self.resample(h + self.shortcut(x))
        return out


def _halving(inputs: int, width: int, layers: Layers) -> Block:
    return Block(inputs, width, layers, _projection(inputs, width, layers), nn.AvgPool2d(2))


def _keeping(inputs: int, width: int, layers: Layers) -> Block:
    shortcut = nn.Identity() if inputs == width else _projection(inputs, width, layers)
    return Block(inputs, width, layers, shortcut, nn.Identity())


def _projection(inputs: int, width: int, layers: Layers) -> nn.Module:
    return nn.Sequential(layers.conv(inputs, width, 1), layers.norm(width))


class ResidualTrunk(nn.Module):
    """Images `(n, channels, side, side)` to features `(n, widths[-1])`, summed over the image.

    Args:
        channels: of the images.
        widths: channels behind every block.
        halvings: how many blocks, the first ones, halve the side.
        layers: what blocks are made of.
    """

    def __init__(self, channels: int, widths: tuple[int, ...], halvings: int, layers: Layers) -> None:
        super().__init__()
        kinds = [_halving] * (halvings - 1) + [_keeping] * (len(widths) - halvings)
        self.blocks = nn.Sequential(
            FirstBlock(channels, widths[0], layers),
            *(kind(*pair, layers) for kind, pair in zip(kinds, itertools.pairwise(widths), strict=True)),
        )

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(self.blocks(images)).sum(dim=(2, 3))


class Blocks(NamedTuple):
    """The blocks of a discriminator.

    Args:
        multiples: channels behind every one, in units of the width.
        halvings: how many, the first ones, halve the side.
    """

    multiples: tuple[int, ...]
    halvings: int


class ResidualDiscriminator(Discriminator):
    """A residual discriminator that sums over the image.

    Args:
        width: the unit of all widths (64 in the published code).
        multiples: channels behind every block, in units of `width`; by the side without.
        halvings: how many blocks, the first ones, halve the side; by the side without.
        head_bias: whether the head's layers have biases.

    Attributes:
        published: the blocks for every number of times that the side can be halved down to 7 or less.
    """

    published: ClassVar[Mapping[int, Blocks]]

    width: Count = 64
    multiples: Widths = ()
    halvings: Count | None = None
    head_bias: bool = True

    @abstractmethod
    def layers(self) -> Layers:
        """What its blocks are made of."""

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> DiscriminatorModule:
        channels, _bottom, doublings = require_bottom(self, space, lead)
        usual = self.published.get(doublings, Blocks((), doublings))
        multiples, halvings = self.multiples or usual.multiples, self.halvings or usual.halvings
        if len(multiples) < halvings or space.shape[1] < 2**halvings:
            raise UsageError(
                f"discriminator: {self.name!r} halves a side of {space.shape[1]} {halvings} times "
                f"in {len(multiples)} blocks",
                "set discriminator.multiples, one number a block, and discriminator.halvings, "
                "no more than there are blocks or than the side allows",
            )
        widths = tuple(self.width * multiple for multiple in multiples)
        with torch.random.fork_rng(devices=[]):
            trunk = ResidualTrunk(channels, widths, halvings, self.layers())
            head = self.head.build(widths[-1], space.classes, nn.Linear, bias=self.head_bias)
        network = DiscriminatorModule(trunk, widths[-1], head)
        initialise(network, xavier_residual, rng=rng)
        return network


def same_conv(bias: bool) -> Callable[[int, int, int], nn.Module]:
    """Makes convolutions that keep the side of the image, with or without biases."""

    def conv(inputs: int, outputs: int, kernel: int) -> nn.Module:
        return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)

    return conv
