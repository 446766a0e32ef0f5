"""The residual pair of AS-GAN at any side 4 x 2^k, with batch normalisation in both networks.

Generator: latent -> width x 4 x 4, k up-sampling blocks, 3 x 3 convolution, tanh. Discriminator: k + 1 down-sampling
blocks from the image to width x 2 x 2, ReLU, mean over the image, one dense unit (the paper's sigmoid is the
objective's). Both have the same block: BN, ReLU, resampling, convolution, BN, ReLU, convolution, added to the resampled
input; bilinear upwards, mean pooling downwards. Linear layers and kernels are Xavier-uniform with gain 1, biases 0.

What the paper leaves open: it states one order of layers for both networks, so D's blocks resample before their first
convolution too. The shortcut has weights only where the channels change, a 1 x 1 convolution after the pooling (the
two commute). Convolutions have biases: the paper drops them in its DCGAN alone.
"Xavier" is read as uniform.

Source: AS-GAN (Bridging Adversarial Samples and Adversarial Networks), appendix G, tables 4 to 7.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import Space
from sparring.networks.base import Generator, require_halvings
from sparring.networks.heads import Discriminator, DiscriminatorModule
from sparring.networks.initial import GlorotInit, initialise
from sparring.networks.products import OneDNNLinear


def _active(width: int, batch_norm: bool) -> list[nn.Module]:
    return [nn.BatchNorm2d(width), nn.ReLU()] if batch_norm else [nn.ReLU()]


class ResampleBlock(nn.Module):
    """main(x) + shortcut(x), both at the resampled side.

    Args:
        inputs: channels of x.
        width: channels of the result.
        resample: changes the side, without weights.
        batch_norm: whether each activation is normalised.
    """

    def __init__(self, inputs: int, width: int, resample: nn.Module, batch_norm: bool) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *_active(inputs, batch_norm),
            resample,
            nn.Conv2d(inputs, width, 3, padding=1),
            *_active(width, batch_norm),
            nn.Conv2d(width, width, 3, padding=1),
        )
        widening = [] if inputs == width else [nn.Conv2d(inputs, width, 1)]
        self.shortcut = nn.Sequential(resample, *widening)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.main(x) + self.shortcut(x)
        return out


def _generator(inputs: int, channels: int, doublings: int, width: int, batch_norm: bool) -> nn.Module:
    """Codes `(n, inputs)` to images `(n, channels, 4 x 2^k, 4 x 2^k)` in [-1, 1]."""
    up = nn.Upsample(scale_factor=2.0, mode="bilinear")
    return nn.Sequential(
        OneDNNLinear(inputs, width * 16),
        nn.Unflatten(1, (width, 4, 4)),
        *(ResampleBlock(width, width, up, batch_norm) for _ in range(doublings)),
        nn.Conv2d(width, channels, 3, padding=1),
        nn.Tanh(),
    )


def _trunk(channels: int, doublings: int, width: int, batch_norm: bool) -> nn.Module:
    """Images `(n, channels, 4 x 2^k, 4 x 2^k)` to features `(n, width)`."""
    down = nn.AvgPool2d(2)
    return nn.Sequential(
        ResampleBlock(channels, width, down, batch_norm),
        *(ResampleBlock(width, width, down, batch_norm) for _ in range(doublings)),
        nn.ReLU(),
        down,
        nn.Flatten(),
    )


@piece("asgan_resnet")
class ASGANResNetGenerator(Generator):
    """AS-GAN's residual generator, for square images with a side of 8, 16, 32, ...

    Args:
        latent: how many latent coordinates (100 in the paper).
        width: channels everywhere (256 in the paper).
        batch_norm: on in the paper.
    """

    latent: Count = 100
    width: Count = 256
    batch_norm: bool = True

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> nn.Module:
        channels, _bottom, doublings = require_halvings(self, space, lead)
        with torch.random.fork_rng(devices=[]):
            network = _generator(self.inputs(space), channels, doublings, self.width, self.batch_norm)
        initialise(network, lambda _name: GlorotInit(), rng=rng)
        return network


@piece("asgan_resnet")
class ASGANResNetDiscriminator(Discriminator):
    """AS-GAN's residual discriminator, for square images with a side of 8, 16, 32, ...

    Args:
        width: channels everywhere (256 in the paper).
        batch_norm: on in the paper.
    """

    width: Count = 256
    batch_norm: bool = True

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> DiscriminatorModule:
        channels, _bottom, doublings = require_halvings(self, space, lead)
        with torch.random.fork_rng(devices=[]):
            trunk = _trunk(channels, doublings, self.width, self.batch_norm)
            network = self.with_head(trunk, self.width, space)
        initialise(network, lambda _name: GlorotInit(), rng=rng)
        return network
