"""VGG-16 in the form for small images: 13 convolutions with BN, one dense layer; at any side.

Five groups of 3 x 3 convolutions with 1, 2, 4, 8, 8 times `width` channels, each followed by BN and ReLU, max pooling
after each group, mean over the remaining image (one pixel at a side of 32), dense layer. Odd sides are pooled with a
partial last window, so a side below 32 ends in one pixel too. Kernels are N(0, 2 / fan_out); no layer but
BN and the dense one has a bias.

Source: Simonyan, Zisserman 2015, table 1, column D, with the dense layers of its CIFAR form.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import nn

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import Space
from sparring.networks.base import require_square_images
from sparring.networks.classifiers import Classifier, ClassifierModule, TrainingSettings
from sparring.networks.initial import initialise, kaiming_normal, xavier_uniform

_GROUPS = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))
"""Channels after every convolution, in units of the width."""


def _layers(channels: int, width: int) -> Iterator[nn.Module]:
    inputs = channels
    for group in _GROUPS:
        for multiple in group:
            outputs = multiple * width
            yield nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            yield nn.BatchNorm2d(outputs)
            yield nn.ReLU(inplace=True)
            inputs = outputs
        yield nn.MaxPool2d(2, ceil_mode=True)


@piece("vgg16")
class VGG16(Classifier):
    """VGG-16 with BN and one dense layer; square images of any side.

    Args:
        width: channels of the first group (64 in the paper).
    """

    training: ClassVar[TrainingSettings] = TrainingSettings(images_seen=1_500_000, rate=1e-3, shift=4, mirrored=0.5)

    width: Count = 64

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> ClassifierModule:
        channels, _side = require_square_images(self, space, lead)
        with torch.random.fork_rng(devices=[]):
            features = nn.Sequential(*_layers(channels, self.width), nn.AdaptiveAvgPool2d(1), nn.Flatten())
            network = ClassifierModule(features, 8 * self.width, space.classes)
        initialise(network, lambda name: xavier_uniform() if name == "output" else kaiming_normal(), rng=rng)
        return network
