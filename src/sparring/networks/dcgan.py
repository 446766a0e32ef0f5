"""The DCGAN pair of AS-GAN at any side 4 x 2^k: 4 x 4 kernels, every step halves the side and doubles the channels.

Generator: latent -> 2^(k-1) width x 4 x 4 -> ... -> width x side/2 x side/2 -> image, transposed convolutions with BN
and ReLU, the last with tanh. Discriminator: the same way back with convolutions, BN (none on the first) and LeakyReLU
0.2, and a convolution to one score (written as the dense layer that a 4 x 4 convolution of 4 x 4 features is). The
paper's sigmoid is part of the objective. Only BN has biases. Kernels are N(0, 0.02^2); BN starts at weight 1 and bias
0, which the paper does not state.

At 32 and 64 pixels these are the paper's tables. It shows samples of 128 pixels without a table; here they
continue the rule by one step (2048 channels at width 128).

Source: AS-GAN (Bridging Adversarial Samples and Adversarial Networks), appendix G, tables 8 to 11; table 2 without BN.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import Space
from sparring.networks.base import Generator, require_halvings
from sparring.networks.heads import Discriminator, DiscriminatorModule
from sparring.networks.initial import NormalInit, initialise

_STD = 0.02
_SLOPE = 0.2


def _generator(inputs: int, channels: int, doublings: int, width: int, batch_norm: bool) -> nn.Module:
    """Codes `(n, inputs)` to images `(n, channels, 4 x 2^k, 4 x 2^k)` in [-1, 1]."""
    widths = [width * 2**step for step in reversed(range(doublings))]
    layers = _block(nn.ConvTranspose2d(inputs, widths[0], 4, bias=False), batch_norm, nn.ReLU())
    for wide, narrow in itertools.pairwise(widths):
        layers += _block(nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False), batch_norm, nn.ReLU())
    output = nn.ConvTranspose2d(width, channels, 4, 2, 1, bias=False)
    return nn.Sequential(nn.Unflatten(1, (inputs, 1, 1)), *layers, output, nn.Tanh())


def _trunk(channels: int, doublings: int, width: int, batch_norm: bool) -> nn.Module:
    """Images `(n, channels, 4 x 2^k, 4 x 2^k)` to features `(n, 2^(k-1) width x 4 x 4)`."""
    widths = [width * 2**step for step in range(doublings)]
    layers = _block(nn.Conv2d(channels, width, 4, 2, 1, bias=False), False, nn.LeakyReLU(_SLOPE))
    for narrow, wide in itertools.pairwise(widths):
        layers += _block(nn.Conv2d(narrow, wide, 4, 2, 1, bias=False), batch_norm, nn.LeakyReLU(_SLOPE))
    return nn.Sequential(*layers, nn.Flatten())


def _block(convolution: nn.Conv2d | nn.ConvTranspose2d, batch_norm: bool, activation: nn.Module) -> list[nn.Module]:
    norm = [nn.BatchNorm2d(convolution.out_channels)] if batch_norm else []
    return [convolution, *norm, activation]


@piece("dcgan")
class DCGANGenerator(Generator):
    """AS-GAN's DCGAN generator, for square images with a side of 8, 16, 32, ...

    Args:
        latent: how many latent coordinates (100 in the paper).
        width: channels of the last hidden layer, doubled with every halving of the side (128 in the paper).
        batch_norm: on in the paper, off in its ablation "no BN (G)".
    """

    latent: Count = 100
    width: Count = 128
    batch_norm: bool = True

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> nn.Module:
        channels, _bottom, doublings = require_halvings(self, space, lead)
        with torch.random.fork_rng(devices=[]):
            network = _generator(self.inputs(space), channels, doublings, self.width, self.batch_norm)
        initialise(network, lambda _name: NormalInit(std=_STD), rng=rng)
        return network


@piece("dcgan")
class DCGANDiscriminator(Discriminator):
    """AS-GAN's DCGAN discriminator, for square images with a side of 8, 16, 32, ...

    Args:
        width: channels of the first layer, doubled with every halving of the side (128 in the paper).
        batch_norm: on in the paper, off in its ablation "no BN (D)" and for a critic under a gradient penalty.
    """

    width: Count = 128
    batch_norm: bool = True

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> DiscriminatorModule:
        channels, _bottom, doublings = require_halvings(self, space, lead)
        features = 8 * 2**doublings * self.width
        with torch.random.fork_rng(devices=[]):
            trunk = _trunk(channels, doublings, self.width, self.batch_norm)
            network = self.with_head(trunk, features, space, bias=False)
        initialise(network, lambda _name: NormalInit(std=_STD), rng=rng)
        return network
