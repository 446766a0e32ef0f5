"""PreActResNet-18: the residual classifier with activations before convolutions, at any side.

3 x 3 convolution, four stages of two blocks with 1, 2, 4, 8 times `width` channels, of which all but the first halve
the side, mean over the image, dense layer. The network of Rob-GAN's robustness figures at 32 pixels has no batch
normalisation and LeakyReLU 0.2; the usual one is `batch_norm: true, slope: 0`. As in the published code, the sum after
the last block is not normalised. Kernels are N(0, 2 / fan_out) and have no biases; the dense layer is
Xavier-uniform.

Source: He, Zhang, Ren, Sun 2016 (Identity Mappings in Deep Residual Networks); Rob-GAN's published code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count, NonNegative
from sparring.core.shapes import Space
from sparring.networks.base import require_square_images
from sparring.networks.classifiers import Classifier, ClassifierModule, TrainingSettings
from sparring.networks.initial import initialise, kaiming_normal, xavier_uniform

_STAGES = ((1, 1), (2, 2), (4, 2), (8, 2))
"""Channels in units of the width, and the stride of the first block."""

Active = Callable[[int], nn.Module]
"""Channels to an activation, normalised or not."""


def _conv3(inputs: int, width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)


class IdentityBlock(nn.Module):
    """x + conv(active(conv(active(x))))."""

    def __init__(self, width: int, active: Active) -> None:
        super().__init__()
        self.main = nn.Sequential(active(width), _conv3(width, width), active(width), _conv3(width, width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.main(x)
        return out


class ProjectedBlock(nn.Module):
    """project(a) + conv(active(conv(a))), a = active(x): the first convolution and the projection stride."""

    def __init__(self, inputs: int, width: int, stride: int, active: Active) -> None:
        super().__init__()
        self.active = active(inputs)
        self.main = nn.Sequential(_conv3(inputs, width, stride), active(width), _conv3(width, width))
        self.shortcut = nn.Conv2d(inputs, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        activated = self.active(x)
        out: Tensor = self.main(activated) + self.shortcut(activated)
        return out


def _blocks(width: int, active: Active) -> Iterator[nn.Module]:
    inputs = width
    for multiple, stride in _STAGES:
        outputs = multiple * width
        changes = inputs != outputs or stride != 1
        yield ProjectedBlock(inputs, outputs, stride, active) if changes else IdentityBlock(outputs, active)
        yield IdentityBlock(outputs, active)
        inputs = outputs


@piece("preact_resnet18")
class PreActResNet18(Classifier):
    """The pre-activation residual classifier with 18 layers, for square images of any side.

    Args:
        width: channels of the first stage.
        batch_norm: before every activation; off in Rob-GAN.
        slope: of the activations below zero: 0.2 in Rob-GAN, usually 0.
    """

    training: ClassVar[TrainingSettings] = TrainingSettings(images_seen=1_500_000, rate=1e-3, shift=4, mirrored=0.5)

    width: Count = 64
    batch_norm: bool = False
    slope: NonNegative = 0.2

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> ClassifierModule:
        channels, _side = require_square_images(self, space, lead)
        norm = nn.BatchNorm2d if self.batch_norm else nn.Identity

        def active(inputs: int) -> nn.Module:
            return nn.Sequential(norm(inputs), nn.LeakyReLU(self.slope))

        with torch.random.fork_rng(devices=[]):
            features = nn.Sequential(
                _conv3(channels, self.width),
                *_blocks(self.width, active),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
            )
            network = ClassifierModule(features, 8 * self.width, space.classes)
        initialise(network, lambda name: xavier_uniform() if name == "output" else kaiming_normal(), rng=rng)
        return network
