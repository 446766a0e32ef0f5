"""The residual pair of WGAN-GP on 32-pixel images, at any side 4 x 2^k.

Generator: latent -> width x 4 x 4, k up-sampling blocks, BN, ReLU, 3 x 3 convolution, tanh. Discriminator: an input
block and one more block that halve the side, two that keep it, ReLU, mean over the image, one dense unit; no
normalisation. Kernels inside blocks are Xavier-uniform with gain sqrt 2, shortcuts and dense layers with gain 1.

Source: Gulrajani et al. 2017, appendix C; Xu, Li, Jegelka, appendix C.2 (which changes nothing but f).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import Space
from sparring.networks.base import Generator, require_halvings, require_square_images
from sparring.networks.folded import PooledConv, PooledProjection, UpsampledConv, UpsampledProjection
from sparring.networks.heads import Discriminator, DiscriminatorModule
from sparring.networks.initial import initialise, xavier_residual
from sparring.networks.products import OneDNNLinear
from sparring.networks.residual_blocks import DiscriminatorBlock, InputBlock, bare, keeping_block


class UpBlock(nn.Module):
    """BN, ReLU, up-sampling, convolution, BN, ReLU, convolution; 1 x 1 convolution on the shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
        self.conv1, self.conv2 = UpsampledConv(width, width), nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = UpsampledProjection(width, width)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(torch.relu(self.norm2(self.conv1(torch.relu(self.norm1(x))))))
        out: Tensor = h + self.shortcut(x)
        return out


class ResNetGeneratorModule(nn.Module):
    """Codes `(n, inputs)` to images `(n, channels, side, side)` in [-1, 1]."""

    def __init__(self, inputs: int, channels: int, doublings: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.dense = OneDNNLinear(inputs, width * 16)
        self.blocks = nn.Sequential(*(UpBlock(width) for _ in range(doublings)))
        self.norm = nn.BatchNorm2d(width)
        self.output = nn.Conv2d(width, channels, 3, padding=1)

    def forward(self, codes: Tensor) -> Tensor:
        h = self.blocks(self.dense(codes).reshape(-1, self.width, 4, 4))
        return torch.tanh(self.output(torch.relu(self.norm(h))))


class ResNetTrunk(nn.Module):
    """Images `(n, channels, side, side)` to features `(n, width)`."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        layers, projection = bare(bias=True), PooledProjection(width, width)
        self.blocks = nn.Sequential(
            InputBlock(channels, width, layers, PooledProjection(channels, width)),
            DiscriminatorBlock(width, width, layers, PooledConv(width, width), projection, nn.Identity()),
            keeping_block(width, width, layers),
            keeping_block(width, width, layers),
        )

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(self.blocks(images)).mean(dim=(2, 3))


@piece("resnet")
class ResNetGenerator(Generator):
    """WGAN-GP's residual generator.

    Args:
        latent: how many latent coordinates (128 in the published code).
        width: channels everywhere (128 in the published code).
    """

    latent: Count = 128
    width: Count = 128

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> nn.Module:
        channels, _bottom, doublings = require_halvings(self, space, lead)
        with torch.random.fork_rng(devices=[]):
            network = ResNetGeneratorModule(self.inputs(space), channels, doublings, self.width)
        initialise(network, xavier_residual, rng=rng)
        return network


@piece("resnet")
class ResNetDiscriminator(Discriminator):
    """WGAN-GP's residual critic, without normalisation.

    Args:
        width: channels everywhere (128 in the published code).
    """

    width: Count = 128

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> DiscriminatorModule:
        channels, _side = require_square_images(self, space, lead, 8)
        with torch.random.fork_rng(devices=[]):
            head = self.head.build(self.width, space.classes, nn.Linear)
            network = DiscriminatorModule(ResNetTrunk(channels, self.width), self.width, head)
        initialise(network, xavier_residual, rng=rng)
        return network
