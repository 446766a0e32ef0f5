"""The convolutional pair of the MNIST experiment: two strided layers and two dense ones on either side.

Generator: latent -> 1024 -> 128 x s/4 x s/4 -> 64 x s/2 x s/2 -> image. Discriminator: image -> 64 -> 128 -> 1024 -> 1,
4 x 4 kernels with stride 2. Weights N(0, 0.02^2), biases 0. The published code works on [0, 1] with a sigmoid output;
here images are [-1, 1] and 2 sigmoid(a) - 1 = tanh(a / 2) is written tanh.

Source: Xu, Li, Jegelka, appendix B.2, whose generator has no batch normalisation.
"""

from __future__ import annotations

import torch
from torch import nn

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import Space
from sparring.networks.base import Generator, require_square_images
from sparring.networks.heads import Discriminator, DiscriminatorModule
from sparring.networks.initial import NormalInit, initialise
from sparring.networks.products import OneDNNLinear

_SLOPE = 0.2


def _generator(inputs: int, channels: int, side: int, width: int, batch_norm: bool) -> nn.Module:
    """Codes `(n, inputs)` to images `(n, channels, side, side)` in [-1, 1]."""
    small = side // 4
    flat, images = (nn.BatchNorm1d, nn.BatchNorm2d) if batch_norm else (nn.Identity, nn.Identity)
    return nn.Sequential(
        OneDNNLinear(inputs, 16 * width),
        flat(16 * width),
        nn.ReLU(),
        OneDNNLinear(16 * width, 2 * width * small * small),
        flat(2 * width * small * small),
        nn.ReLU(),
        nn.Unflatten(1, (2 * width, small, small)),
        nn.ConvTranspose2d(2 * width, width, 4, 2, 1),
        images(width),
        nn.ReLU(),
        nn.ConvTranspose2d(width, channels, 4, 2, 1),
        nn.Tanh(),
    )


def _trunk(channels: int, side: int, width: int, batch_norm: bool) -> nn.Module:
    """Images `(n, channels, side, side)` to features `(n, 16 width)`."""
    small = side // 4
    flat, images = (nn.BatchNorm1d, nn.BatchNorm2d) if batch_norm else (nn.Identity, nn.Identity)
    return nn.Sequential(
        nn.Conv2d(channels, width, 4, 2, 1),
        nn.LeakyReLU(_SLOPE),
        nn.Conv2d(width, 2 * width, 4, 2, 1),
        images(2 * width),
        nn.LeakyReLU(_SLOPE),
        nn.Flatten(),
        OneDNNLinear(2 * width * small * small, 16 * width),
        flat(16 * width),
        nn.LeakyReLU(_SLOPE),
    )


@piece("mnist")
class MNISTGenerator(Generator):
    """The paper's MNIST generator, for square images with a side divisible by 4.

    Args:
        width: channels of the last hidden layer; the others follow (64 in the paper).
        batch_norm: off in the paper's generator, on in the code that it adapts.
    """

    width: Count = 64
    batch_norm: bool = False

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> nn.Module:
        channels, side = require_square_images(self, space, lead, 4)
        with torch.random.fork_rng(devices=[]):
            network = _generator(self.inputs(space), channels, side, self.width, self.batch_norm)
        initialise(network, lambda _name: NormalInit(std=0.02), rng=rng)
        return network


@piece("mnist")
class MNISTDiscriminator(Discriminator):
    """The paper's MNIST discriminator, for square images with a side divisible by 4.

    Args:
        width: channels of the first layer; the others follow (64 in the paper).
        batch_norm: on in the paper's discriminator, on the second and third layers.
    """

    width: Count = 64
    batch_norm: bool = True

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> DiscriminatorModule:
        channels, side = require_square_images(self, space, lead, 4)
        with torch.random.fork_rng(devices=[]):
            trunk = _trunk(channels, side, self.width, self.batch_norm)
            network = self.with_head(trunk, 16 * self.width, space)
        initialise(network, lambda _name: NormalInit(std=0.02), rng=rng)
        return network
