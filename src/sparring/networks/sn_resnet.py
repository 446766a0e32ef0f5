"""The residual networks of WGAN-GP, SN-GAN and Rob-GAN, with any widths, at any side bottom x 2^k.

Generator: latents -> bottom x bottom features, blocks of which the first k double the side, BN, ReLU, 3 x 3
convolution, tanh. The latents of a code enter at the dense layer, its class at the normalisations of the blocks. A side
is halved while it is even and above 4: 32 = 4 x 2^3, 28 = 7 x 2^2. Discriminator: an input block, blocks of which the
first ones halve the side, ReLU, sum or mean over the image, a head.

Source: Miyato, Kataoka, Koyama, Yoshida 2018, appendix B.4; Rob-GAN, section 4.1 and figure 4; both as in their
published code.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from sparring.core.errors import UsageError
from sparring.core.randomness import Rng
from sparring.core.records import Count, Probability, Widths
from sparring.core.shapes import Space
from sparring.networks.base import Generator, require_halvings
from sparring.networks.heads import Discriminator, DiscriminatorModule
from sparring.networks.initial import glorot_residual, initialise
from sparring.networks.products import OneDNNLinear
from sparring.networks.residual_blocks import (
    EPS,
    BlockLayers,
    ClassNorm,
    InputBlock,
    class_norm,
    halving_block,
    keeping_block,
    same_size_block,
    upsampling_block,
)

BOTTOMS = range(1, 8)
"""Sides that an image may be halved to."""


class ResidualGeneratorModule(nn.Module):
    """Codes `(n, latent + classes)` to images `(n, channels, side, side)` in [-1, 1].

    Args:
        latent: how many coordinates of a code are latents; the others are the one-hot class.
        bottom: side of the features that the dense layer makes.
        doublings: how many blocks, the first ones, double the side.
        widths: channels before the first block and after each block.
        channels: of the images.
        norm: makes the normalisations of the blocks.
        last_norm: the last normalisation.
    """

    def __init__(
        self,
        latent: int,
        bottom: int,
        doublings: int,
        widths: tuple[int, ...],
        channels: int,
        *,
        norm: ClassNorm,
        last_norm: nn.Module,
    ) -> None:
        super().__init__()
        self.latent = latent
        self.dense = nn.Sequential(
            OneDNNLinear(latent, widths[0] * bottom**2),
            nn.Unflatten(1, (widths[0], bottom, bottom)),
        )
        kinds = [upsampling_block] * doublings + [same_size_block] * (len(widths) - 1 - doublings)
        self.blocks = nn.ModuleList(
            kind(*pair, norm) for kind, pair in zip(kinds, itertools.pairwise(widths), strict=True)
        )
        self.output = nn.Sequential(
            last_norm,
            nn.ReLU(),
            nn.Conv2d(widths[-1], channels, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, codes: Tensor) -> Tensor:
        h, classes = self.dense(codes[:, : self.latent]), codes[:, self.latent :]
        for block in self.blocks:
            h = block(h, classes)
        images: Tensor = self.output(h)
        return images


class ResidualGenerator(Generator):
    """A residual generator with class-conditional batch normalisation.

    Args:
        latent: how many latent coordinates (128 in the published code).
        width: the unit of all widths (64 in the published code).
        multiples: channels before the first block and after each, in units of `width`; empty for the published ones.
        momentum: the share of the newest batch in the running statistics, which samples are drawn with.

    Attributes:
        published: the multiples for each number of doublings.
    """

    published: ClassVar[Mapping[int, tuple[int, ...]]]

    latent: Count = 128
    width: Count = 64
    multiples: Widths = ()
    momentum: Probability = 0.1

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> nn.Module:
        channels, bottom, doublings = require_halvings(self, space, lead, BOTTOMS)
        multiples = self.multiples or self.published.get(doublings, ())
        if len(multiples) <= doublings:
            raise UsageError(
                f"generator: {self.name!r} doubles a side of {bottom} {doublings} times to {space.shape[1]}, "
                f"and has {len(multiples)} widths",
                f"set generator.multiples to at least {doublings + 1} numbers, one for the start and one a block",
            )
        widths = tuple(self.width * multiple for multiple in multiples)
        norm = class_norm(space.classes if self.conditional else None, self.momentum)
        with torch.random.fork_rng(devices=[]):
            last_norm = nn.BatchNorm2d(widths[-1], eps=EPS, momentum=self.momentum)
            network = ResidualGeneratorModule(
                self.latent, bottom, doublings, widths, channels, norm=norm, last_norm=last_norm
            )
        initialise(network, glorot_residual, rng=rng)
        return network


class ResidualTrunk(nn.Module):
    """Images `(n, channels, side, side)` to features `(n, widths[-1])`.

    Args:
        channels: of the images.
        widths: channels after each block.
        halvings: how many blocks, the first ones, halve the side.
        layers: of the blocks.
        reduced: the sum or the mean over the image.
    """

    def __init__(
        self,
        channels: int,
        widths: tuple[int, ...],
        halvings: int,
        layers: BlockLayers,
        reduced: Callable[..., Tensor] = torch.sum,
    ) -> None:
        super().__init__()
        self.reduced = reduced
        kinds = [halving_block] * (halvings - 1) + [keeping_block] * (len(widths) - halvings)
        self.blocks = nn.Sequential(
            InputBlock(channels, widths[0], layers),
            *(kind(*pair, layers) for kind, pair in zip(kinds, itertools.pairwise(widths), strict=True)),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.reduced(torch.relu(self.blocks(images)), dim=(2, 3))


class BlockWidths(NamedTuple):
    """The blocks of a discriminator.

    Args:
        multiples: channels after each block, in units of the width.
        halvings: how many blocks, the first ones, halve the side.
    """

    multiples: tuple[int, ...]
    halvings: int


class ResidualDiscriminator(Discriminator):
    """A residual discriminator that sums its features over the image.

    Args:
        width: the unit of all widths (64 in the published code).
        multiples: channels after each block, in units of `width`; empty for the published ones.
        halvings: how many blocks, the first ones, halve the side; the published number if absent.
        head_bias: whether the head's layers have biases.

    Attributes:
        published: the blocks for each number of times that the side can be halved down to 7 or less.
    """

    published: ClassVar[Mapping[int, BlockWidths]]

    width: Count = 64
    multiples: Widths = ()
    halvings: Count | None = None
    head_bias: bool = True

    @abstractmethod
    def layers(self) -> BlockLayers:
        """The layers of its blocks."""

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> DiscriminatorModule:
        channels, _bottom, doublings = require_halvings(self, space, lead, BOTTOMS)
        usual = self.published.get(doublings, BlockWidths((), doublings))
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
            network = self.with_head(trunk, widths[-1], space, bias=self.head_bias)
        initialise(network, glorot_residual, rng=rng)
        return network
