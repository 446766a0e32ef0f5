"""Classifiers: features and one dense layer of logits; small ones, and those that share layers with a discriminator.

The small ones serve as reference classifiers of a data set.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import FeaturesAndLogits, Space
from sparring.networks.base import FeatureNetwork, Network, require_images, require_square_images
from sparring.networks.heads import AuxiliaryHead, AuxiliaryModule, Discriminator, DiscriminatorModule
from sparring.networks.initial import GlorotInit, initialise
from sparring.networks.products import OneDNNLinear


class ClassifierModule(FeatureNetwork):
    """Samples `(*batch, *shape)` to logits `(*batch, classes)`, through features.

    Args:
        features: samples to `(*batch, width)`; images `(n, channels, height, width)` for convolutions.
        width: number of features.
        classes: number of logits.
    """

    def __init__(self, features: nn.Module, width: int, classes: int) -> None:
        super().__init__()
        self.features = features
        self.width = width
        self.output: nn.Module = nn.Linear(width, classes)

    def forward(self, samples: Tensor) -> Tensor:
        return self.extract(samples).logits

    def extract(self, images: Tensor) -> FeaturesAndLogits:
        features = self.features(images)
        return FeaturesAndLogits(features, self.output(features))


class TrainingSettings(NamedTuple):
    """How a reference classifier is trained.

    Args:
        images_seen: training images, with repetitions.
        rate: the largest learning rate.
        shift: the largest random translation of a batch, in pixels each way.
        mirrored: the share of images mirrored left to right.
    """

    images_seen: int
    rate: float
    shift: int = 0
    mirrored: float = 0.0


class Classifier(Network, family="classifier"):
    """Maps samples `(*batch, *space.shape)` to logits `(*batch, space.classes)`."""

    @abstractmethod
    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> ClassifierModule: ...


def _norm_conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class ResidualBlock(nn.Module):
    """x + conv(conv(x)), each convolution followed by BN and ReLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_norm_conv(width, width), _norm_conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.body(x)
        return out


@piece("small_cnn")
class SmallCNN(Classifier):
    """3 x 3 convolutions of `width` and 2 `width` channels, max pooling, a dense layer; images from 4 x 4."""

    training: ClassVar[TrainingSettings] = TrainingSettings(images_seen=120_000, rate=1e-3)

    width: Count = 32

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> ClassifierModule:
        channels, height, wide = require_images(self, space)
        width = self.width
        with torch.random.fork_rng(devices=[]):
            features = nn.Sequential(
                nn.Conv2d(channels, width, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Conv2d(width, 2 * width, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Flatten(),
                OneDNNLinear(2 * width * (height // 4) * (wide // 4), 4 * width),
                nn.ReLU(),
            )
            network = ClassifierModule(features, 4 * width, space.classes)
        initialise(network, lambda _name: GlorotInit(gain=2.0**0.5), rng=rng)
        return network


@piece("small_resnet")
class SmallResNet(Classifier):
    """3 x 3 convolutions of `width` to 8 `width` channels with BN, one residual block; colour images from 8 x 8.

    Four convolutions, max pooling after each, the last one over the whole image: 8 `width` features.
    """

    training: ClassVar[TrainingSettings] = TrainingSettings(images_seen=300_000, rate=5e-3, shift=4, mirrored=0.5)

    width: Count = 16

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> ClassifierModule:
        (channels, _height, _wide), width = require_images(self, space), self.width
        with torch.random.fork_rng(devices=[]):
            features = nn.Sequential(
                _norm_conv(channels, width),
                nn.MaxPool2d(2),
                _norm_conv(width, 2 * width),
                nn.MaxPool2d(2),
                _norm_conv(2 * width, 4 * width),
                ResidualBlock(4 * width),
                nn.MaxPool2d(2),
                _norm_conv(4 * width, 8 * width),
                nn.AdaptiveMaxPool2d(1),
                nn.Flatten(),
            )
            network = ClassifierModule(features, 8 * width, space.classes)
        initialise(network, lambda _name: GlorotInit(gain=2.0**0.5), rng=rng)
        return network


@piece("branch")
class Branch(Classifier):
    """The class branch of a discriminator, its trunk and the class layer of an auxiliary head, as a classifier.

    Source: Rob-GAN, section 3.3 and figure 5: f(x; w) of the fine-tuning.

    Args:
        discriminator: the discriminator; its own head is ignored.
    """

    discriminator: Discriminator

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> ClassifierModule:
        spec = self.discriminator.model_copy(update={"head": AuxiliaryHead()})
        whole = spec.build(space, lead, rng=rng)
        spec.init.apply(whole, rng=rng)
        assert isinstance(whole.head, AuxiliaryModule)
        with torch.random.fork_rng(devices=[]):
            branch = ClassifierModule(whole.trunk, whole.width, space.classes)
        branch.output = whole.head.classes
        return branch


@piece("trunk")
class Trunk(Discriminator):
    """The features of a classifier with a discriminator's head, as a discriminator.

    Args:
        classifier: the classifier; its layer of logits is ignored.
    """

    classifier: Classifier

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> DiscriminatorModule:
        require_square_images(self, space, lead)
        body = self.classifier.build(replace(space, classes=1), (), rng=rng)
        self.classifier.init.apply(body, rng=rng)
        with torch.random.fork_rng(devices=[]):
            head = self.head.build(body.width, space.classes, nn.Linear)
        initialise(head, lambda _name: GlorotInit(), rng=rng)
        return DiscriminatorModule(body.features, body.width, head)
