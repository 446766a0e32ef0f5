"""ResNet-18 in the form for small images: normalisation and activation after every convolution, no first pooling.

3 x 3 convolution, BN and ReLU; four stages of two blocks with 1, 2, 4, 8 times `width` channels, of which all but the
first halve the side; mean over the image, dense layer. Square images of any side.

    out = relu(norm(conv(relu(norm(conv(x))))) + shortcut(x))

Source: He, Zhang, Ren, Sun 2016 (Deep Residual Learning for Image Recognition), with the first layer of its CIFAR form.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import Space
from sparring.networks.base import require_square_images
from sparring.networks.classifiers import Classifier, ClassifierModule
from sparring.networks.deep_classifiers import STAGES, conv3, pooled_classifier, strided


class PostActivationBlock(nn.Module):
    """relu(norm(conv(relu(norm(conv(x))))) + shortcut(x)): the first convolution and a projecting shortcut stride."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            conv3(inputs, width, stride),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            conv3(width, width),
            nn.BatchNorm2d(width),
        )
        project = nn.Sequential(nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width))
        self.shortcut = nn.Identity() if inputs == width and stride == 1 else project
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.main(x) + self.shortcut(strided(x, self.stride)))


def _layers(channels: int, width: int) -> Iterator[nn.Module]:
    yield nn.Sequential(conv3(channels, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
    inputs = width
    for multiple, stride in STAGES:
        yield PostActivationBlock(inputs, multiple * width, stride)
        yield PostActivationBlock(multiple * width, multiple * width, 1)
        inputs = multiple * width


@piece("resnet18")
class ResNet18(Classifier):
    """The residual classifier with 18 layers and batch normalisation, for square images of any side.

    Args:
        width: channels of the first stage.
    """

    width: Count = 64

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> ClassifierModule:
        channels, _side = require_square_images(self, space, lead)
        return pooled_classifier(_layers(channels, self.width), 8 * self.width, space, rng=rng)
