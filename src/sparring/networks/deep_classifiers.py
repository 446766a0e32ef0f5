"""The classifiers of the robustness figures, for square images of any side: VGG-16 and PreActResNet-18.

Kernels are N(0, 2 / fan_out) and have no biases; the dense layer is Xavier-uniform.

VGG-16, in the form for small images: five groups of 3 x 3 convolutions with 1, 2, 4, 8, 8 times `width` channels, each
followed by BN and ReLU, max pooling after each group, mean over the remaining image (one pixel at a side of 32), dense
layer. Odd sides are pooled with a partial last window, so a side below 32 ends in one pixel too.

PreActResNet-18: 3 x 3 convolution, four stages of two blocks with 1, 2, 4, 8 times `width` channels, of which all but
the first halve the side, mean over the image, dense layer. The network of Rob-GAN's robustness figures at 32 pixels has
no batch normalisation and LeakyReLU 0.2; the usual one is `batch_norm: true, slope: 0`. As in the published code, the
sum after the last block is not normalised.

Source: Simonyan, Zisserman 2015, table 1, column D, with the dense layers of its CIFAR form; He, Zhang, Ren, Sun 2016
(Identity Mappings in Deep Residual Networks); Rob-GAN's published code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count, NonNegative
from sparring.core.shapes import Space
from sparring.networks.base import require_square_images
from sparring.networks.classifiers import Classifier, ClassifierModule
from sparring.networks.initial import GlorotInit, HeInit, initialise

_GROUPS = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))
"""Channels after every convolution, in units of the width."""


def _vgg_layers(channels: int, width: int) -> Iterator[nn.Module]:
    inputs = channels
    for group in _GROUPS:
        for multiple in group:
            outputs = multiple * width
            yield nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
            yield nn.BatchNorm2d(outputs)
            yield nn.ReLU(inplace=True)
            inputs = outputs
        yield nn.MaxPool2d(2, ceil_mode=True)


def pooled_classifier(layers: Iterable[nn.Module], width: int, space: Space, *, rng: Rng) -> ClassifierModule:
    """Layers, made here if they are a generator, the mean of their `width` channels over the image, a dense layer."""
    with torch.random.fork_rng(devices=[]):
        features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        network = ClassifierModule(features, width, space.classes)
    initialise(network, lambda name: GlorotInit() if name == "output" else HeInit(fan="out"), rng=rng)
    return network


@piece("vgg16")
class VGG16(Classifier):
    """VGG-16 with BN and one dense layer; square images of any side.

    Args:
        width: channels of the first group (64 in the paper).
    """

    width: Count = 64

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> ClassifierModule:
        channels, _side = require_square_images(self, space, lead)
        return pooled_classifier(_vgg_layers(channels, self.width), 8 * self.width, space, rng=rng)


STAGES = ((1, 1), (2, 2), (4, 2), (8, 2))
"""Channels of an 18-layer network in units of the width, and the stride of the first block."""

Active = Callable[[int], nn.Module]
"""Channels to an activation, normalised or not."""


def conv3(inputs: int, width: int, stride: int = 1) -> nn.Conv2d:
    """A 3 x 3 convolution without biases."""
    return nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)


class IdentityBlock(nn.Module):
    """x + conv(active(conv(active(x))))."""

    def __init__(self, width: int, active: Active) -> None:
        super().__init__()
        self.main = nn.Sequential(active(width), conv3(width, width), active(width), conv3(width, width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.main(x)
        return out


class ProjectedBlock(nn.Module):
    """project(a) + conv(active(conv(a))), a = active(x): the first convolution and the projection stride."""

    def __init__(self, inputs: int, width: int, stride: int, active: Active) -> None:
        super().__init__()
        self.active = active(inputs)
        self.main = nn.Sequential(conv3(inputs, width, stride), active(width), conv3(width, width))
        self.shortcut = nn.Conv2d(inputs, width, 1, bias=False)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        activated = self.active(x)
        out: Tensor = self.main(activated) + self.shortcut(strided(activated, self.stride))
        return out


def strided(x: Tensor, stride: int) -> Tensor:
    """Every `stride`-th row and column of images: what a 1 x 1 convolution of this stride sees."""
    # Not a convolution with a stride: in torch 2.13, in channels_last on CPUs with AVX2 alone, the gradient of a kernel
    # whose inputs are no multiple of 8 overwrites memory.
    return x[..., ::stride, ::stride]


def preact_layers(
    channels: int, first: int, stages: Iterable[tuple[int, int]], blocks: int, active: Active
) -> Iterator[nn.Module]:
    """A 3 x 3 convolution, and stages of pre-activation blocks.

    Args:
        channels: of the images.
        first: channels of the convolution.
        stages: the channels of each, and the stride of its first block.
        blocks: in every stage.
        active: channels to an activation.
    """
    yield conv3(channels, first)
    inputs = first
    for outputs, stride in stages:
        changes = inputs != outputs or stride != 1
        yield ProjectedBlock(inputs, outputs, stride, active) if changes else IdentityBlock(outputs, active)
        for _ in range(blocks - 1):
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

    width: Count = 64
    batch_norm: bool = False
    slope: NonNegative = 0.2

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> ClassifierModule:
        channels, _side = require_square_images(self, space, lead)
        norm = nn.BatchNorm2d if self.batch_norm else nn.Identity

        def active(inputs: int) -> nn.Module:
            return nn.Sequential(norm(inputs), nn.LeakyReLU(self.slope))

        stages = [(multiple * self.width, stride) for multiple, stride in STAGES]
        layers = preact_layers(channels, self.width, stages, 2, active)
        return pooled_classifier(layers, 8 * self.width, space, rng=rng)
