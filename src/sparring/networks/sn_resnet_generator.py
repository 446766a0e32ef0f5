"""The residual generator of SN-GAN and Rob-GAN, of any widths and at any side bottom x 2^k.

Latents -> bottom x bottom features, blocks of which the first k double the side, BN, ReLU, 3 x 3 convolution, tanh. A
code's latents enter at the dense layer; its class, where it has one, at the normalisations of the blocks. A side is
halved while it is even and above 4: 32 = 4 x 2^3, 28 = 7 x 2^2.

Source: Miyato, Kataoka, Koyama, Yoshida 2018, appendix B.4; Rob-GAN, section 4.1; both as in their published code.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from sparring.core.errors import UsageError
from sparring.core.randomness import Rng
from sparring.core.records import Count, Probability, Widths
from sparring.core.shapes import Space
from sparring.networks.base import Generator, require_bottom
from sparring.networks.conditional import EPS, ToldNorm, told_norm
from sparring.networks.folded import UpsampledConv, UpsampledProjection
from sparring.networks.initial import initialise, xavier_residual
from sparring.networks.products import Linear


class GeneratorBlock(nn.Module):
    """Norm, ReLU, resampling, convolution, norm, ReLU, convolution; a 1 x 1 convolution on the resampled shortcut.

    Args:
        conv: the first convolution, with the resampling ahead of it.
        shortcut: the 1 x 1 convolution, with its own.
        norm: makes the normalisations, which are told the class.
    """

    def __init__(self, conv: nn.Conv2d, shortcut: nn.Conv2d, norm: ToldNorm) -> None:
        super().__init__()
        inputs, width = conv.in_channels, conv.out_channels
        self.norm1, self.norm2 = norm(inputs), norm(width)
        self.conv1, self.conv2 = conv, nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = shortcut

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        h = self.conv1(torch.relu(self.norm1(x, classes)))
        h = self.conv2(torch.relu(self.norm2(h, classes)))
        out: Tensor = h + self.shortcut(x)
        return out


def doubling(inputs: int, width: int, norm: ToldNorm) -> GeneratorBlock:
    """A block that doubles the side by repeating pixels."""
    return GeneratorBlock(UpsampledConv(inputs, width), UpsampledProjection(inputs, width), norm)


def keeping(inputs: int, width: int, norm: ToldNorm) -> GeneratorBlock:
    """A block that keeps the side."""
    return GeneratorBlock(nn.Conv2d(inputs, width, 3, padding=1), nn.Conv2d(inputs, width, 1), norm)


class ResidualGeneratorModule(nn.Module):
    """Codes `(n, latent + classes)` to images `(n, channels, side, side)` in [-1, 1].

    Args:
        latent: how many of a code's coordinates are latents; the others are the one-hot class.
        bottom: side of the features that the dense layer makes.
        doublings: how many blocks, the first ones, double the side.
        widths: channels before the first block and behind every one.
        channels: of the images.
        norm: makes the blocks' normalisations.
        momentum: of the normalisation behind them.
    """

    def __init__(
        self,
        latent: int,
        bottom: int,
        doublings: int,
        widths: tuple[int, ...],
        channels: int,
        *,
        norm: ToldNorm,
        momentum: float,
    ) -> None:
        super().__init__()
        self.latent = latent
        self.dense = nn.Sequential(
            Linear(latent, widths[0] * bottom**2),
            nn.Unflatten(1, (widths[0], bottom, bottom)),
        )
        kinds = [doubling] * doublings + [keeping] * (len(widths) - 1 - doublings)
        self.blocks = nn.ModuleList(
            kind(*pair, norm) for kind, pair in zip(kinds, itertools.pairwise(widths), strict=True)
        )
        self.output = nn.Sequential(
            nn.BatchNorm2d(widths[-1], eps=EPS, momentum=momentum),
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
    """A residual generator whose blocks are told the class.

    Args:
        latent: how many latent coordinates (128 in the published code).
        width: the unit of all widths (64 in the published code).
        multiples: channels before the first block and behind every one, in units of `width`; by the side without.
        momentum: the share of the newest batch in the running statistics that samples are drawn with.

    Attributes:
        published: the multiples for every number of doublings.
    """

    published: ClassVar[Mapping[int, tuple[int, ...]]]

    latent: Count = 128
    width: Count = 64
    multiples: Widths = ()
    momentum: Probability = 0.1

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> nn.Module:
        channels, bottom, doublings = require_bottom(self, space, lead)
        multiples = self.multiples or self.published.get(doublings, ())
        if len(multiples) <= doublings:
            raise UsageError(
                f"generator: {self.name!r} doubles a side of {bottom} {doublings} times to {space.shape[1]}, "
                f"and has {len(multiples)} widths",
                f"set generator.multiples to at least {doublings + 1} numbers, one for the start and one a block",
            )
        widths = tuple(self.width * multiple for multiple in multiples)
        norm = told_norm(space.classes if self.conditional else None, self.momentum)
        with torch.random.fork_rng(devices=[]):
            network = ResidualGeneratorModule(
                self.latent, bottom, doublings, widths, channels, norm=norm, momentum=self.momentum
            )
        initialise(network, xavier_residual, rng=rng)
        return network
