"""Generators, discriminators and classifiers."""

from sparring.networks.base import (
    Discriminator,
    Generator,
    Network,
    NormalPrior,
    Prior,
    UniformPrior,
    Verdict,
)
from sparring.networks.classifiers import Classifier, SmallCNN
from sparring.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from sparring.networks.mlp import MLPDiscriminatorSpec, MLPGeneratorSpec
from sparring.networks.mnist import MNISTDiscriminator, MNISTGenerator
from sparring.networks.residual import ASGANResNetDiscriminator, ASGANResNetGenerator
from sparring.networks.resnet import ResNetDiscriminator, ResNetGenerator

__all__ = [
    "ASGANResNetDiscriminator",
    "ASGANResNetGenerator",
    "Classifier",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "Discriminator",
    "Generator",
    "MLPDiscriminatorSpec",
    "MLPGeneratorSpec",
    "MNISTDiscriminator",
    "MNISTGenerator",
    "Network",
    "NormalPrior",
    "Prior",
    "ResNetDiscriminator",
    "ResNetGenerator",
    "SmallCNN",
    "UniformPrior",
    "Verdict",
]
