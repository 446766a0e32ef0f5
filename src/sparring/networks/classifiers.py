"""A small convolutional classifier that judges generated images of labelled data."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparring.networks.base import Network
from sparring.networks.initial import initialise, xavier_uniform
from sparring.pieces import piece
from sparring.randomness import Rng
from sparring.records import Count
from sparring.shapes import Space


class Classifier(Network, family="classifier"):
    """Maps samples `(n, *space.shape)` to class logits `(n, classes)`.

    Args:
        classes: how many.
    """

    classes: Count


class SmallCNNModule(nn.Module):
    """Two convolutions with pooling, two dense layers."""

    def __init__(self, shape: tuple[int, int, int], width: int, classes: int) -> None:
        super().__init__()
        channels, height, wide = shape
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * (height // 4) * (wide // 4), 4 * width),
            nn.ReLU(),
            nn.Linear(4 * width, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.layers(images)
        return logits


@piece("small_cnn")
class SmallCNN(Classifier):
    """3 x 3 convolutions of `width` and 2 `width` channels, max pooling, a dense layer; any image from 4 x 4."""

    width: Count = 32

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> nn.Module:
        channels, height, width = space.shape
        with torch.random.fork_rng(devices=[]):
            network = SmallCNNModule((channels, height, width), self.width, self.classes)
        initialise(network, lambda _name: xavier_uniform(2.0**0.5), rng=rng)
        return network
