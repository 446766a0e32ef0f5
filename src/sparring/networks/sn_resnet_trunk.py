"""The residual discriminator of SN-GAN and Rob-GAN, of any widths and at any side.

A first block on the image, blocks of which the first ones halve the side, ReLU, sum over the image, a head. Shortcuts
have weights only where the side or the channels change. A block halves by mean pooling; where no normalisation must see
all pixels in between, its last convolution and the pooling are one (`folded`).

Source: Miyato, Kataoka, Koyama, Yoshida 2018, appendix B.4; Rob-GAN, figure 4; both as in their published code.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from sparring.core.errors import UsageError
from sparring.core.randomness import Rng
from sparring.core.records import Count, Widths
from sparring.core.shapes import Space
from sparring.networks.base import require_bottom
from sparring.networks.folded import PooledConv, PooledProjection
from sparring.networks.heads import Discriminator, DiscriminatorModule
from sparring.networks.initial import initialise, xavier_residual


class Layers(NamedTuple):
    """What blocks are made of.

    Args:
        conv: (inputs, outputs, odd side of the kernel) to a convolution that keeps the side of the image.
        norm: channels to a normalisation, or to the identity.
        last_conv, last_projection: (inputs, outputs) to the 3 x 3 and 1 x 1 convolution that `norm` and `pool` follow.
        pool: makes what is left of the mean pooling.
    """

    conv: Callable[[int, int, int], nn.Module]
    norm: Callable[[int], nn.Module]
    last_conv: Callable[[int, int], nn.Module]
    last_projection: Callable[[int, int], nn.Module]
    pool: Callable[[], nn.Module]


def normalised(bias: bool) -> Layers:
    """Convolutions, with or without biases, and batch normalisation, whose statistics are those of all pixels."""
    conv = _same_conv(bias)
    return Layers(conv, nn.BatchNorm2d, partial(conv, kernel=3), partial(conv, kernel=1), partial(nn.AvgPool2d, 2))


def bare(bias: bool) -> Layers:
    """Convolutions alone, with or without biases; those ahead of a mean pooling do it themselves."""
    return Layers(
        _same_conv(bias),
        nn.Identity,
        partial(PooledConv, bias=bias),
        partial(PooledProjection, bias=bias),
        nn.Identity,
    )


def _same_conv(bias: bool) -> Callable[..., nn.Module]:
    """Makes convolutions that keep the side of the image."""

    def conv(inputs: int, outputs: int, kernel: int) -> nn.Module:
        return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)

    return conv


class FirstBlock(nn.Module):
    """Convolution, norm, ReLU, convolution, norm, mean pooling; the shortcut pools, convolves and normalises.

    Args:
        channels: of the images.
        width: channels of the result.
        layers: what it is made of.
    """

    def __init__(self, channels: int, width: int, layers: Layers) -> None:
        super().__init__()
        self.conv1, self.conv2 = layers.conv(channels, width, 3), layers.last_conv(width, width)
        self.norm1, self.norm2 = layers.norm(width), layers.norm(width)
        self.pool = layers.pool()
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
        last: the second convolution.
        shortcut: x to what is added.
        resample: halves the side, or keeps it; linear, so that once serves both branches.
    """

    def __init__(
        self, inputs: int, width: int, layers: Layers, last: nn.Module, shortcut: nn.Module, resample: nn.Module
    ) -> None:
        super().__init__()
        self.conv1, self.conv2 = layers.conv(inputs, inputs, 3), last
        self.norm1, self.norm2 = layers.norm(inputs), layers.norm(width)
        self.shortcut, self.resample = shortcut, resample

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(torch.relu(x))))))
        out: Tensor = self.resample(h + self.shortcut(x))
        return out


def _halving(inputs: int, width: int, layers: Layers) -> Block:
    shortcut = nn.Sequential(layers.last_projection(inputs, width), layers.norm(width))
    return Block(inputs, width, layers, layers.last_conv(inputs, width), shortcut, layers.pool())


def _keeping(inputs: int, width: int, layers: Layers) -> Block:
    projection = nn.Sequential(layers.conv(inputs, width, 1), layers.norm(width))
    shortcut = nn.Identity() if inputs == width else projection
    return Block(inputs, width, layers, layers.conv(inputs, width, 3), shortcut, nn.Identity())


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
