"""The residual pair of WGAN-GP on 32-pixel images, at any side 4 x 2^k.

Generator: latent -> width x 4 x 4, k up-sampling blocks, BN, ReLU, 3 x 3 convolution, tanh. Discriminator: an input
block and one more block that halve the side, two that keep it, ReLU, mean over the image, one dense unit; no
normalisation. Kernels inside blocks are Xavier-uniform with gain sqrt 2, shortcuts and dense layers with gain 1.

Source: Gulrajani et al. 2017, appendix C; Xu, Li, Jegelka, appendix C.2 (which changes nothing but f).
"""

from __future__ import annotations

import torch
from torch import nn

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import Space
from sparring.networks.base import Generator, require_halvings, require_square_images
from sparring.networks.heads import Discriminator, DiscriminatorModule
from sparring.networks.initial import glorot_residual, initialise
from sparring.networks.residual_blocks import UnconditionalBatchNorm, bare
from sparring.networks.sn_resnet import ResidualGeneratorModule, ResidualTrunk


def _norm(width: int) -> nn.Module:
    return UnconditionalBatchNorm(width, momentum=0.1, eps=1e-5)


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
        channels, bottom, doublings = require_halvings(self, space, lead)
        widths = (self.width,) * (doublings + 1)
        with torch.random.fork_rng(devices=[]):
            last_norm = nn.BatchNorm2d(self.width)
            network = ResidualGeneratorModule(
                self.inputs(space), bottom, doublings, widths, channels, norm=_norm, last_norm=last_norm
            )
        initialise(network, glorot_residual, rng=rng)
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
            trunk = ResidualTrunk(channels, (self.width,) * 4, 2, bare(bias=True), torch.mean)
            network = self.with_head(trunk, self.width, space)
        initialise(network, glorot_residual, rng=rng)
        return network
