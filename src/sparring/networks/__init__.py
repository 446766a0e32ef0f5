"""Generators, discriminators and classifiers."""

from sparring.networks.base import (
    Discriminator,
    FeatureNetwork,
    Generator,
    Network,
    NormalPrior,
    Prior,
    UniformPrior,
    Verdict,
)
from sparring.networks.classifiers import Classifier, ClassifierModule, Schooling, SmallCNN, SmallResNet
from sparring.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from sparring.networks.extractors import ClassifierFeatures, Extractor, InceptionFeatures, Viewer, weights_sha256
from sparring.networks.inception import InceptionV3
from sparring.networks.mlp import MLPDiscriminatorSpec, MLPGeneratorSpec
from sparring.networks.mnist import MNISTDiscriminator, MNISTGenerator
from sparring.networks.residual import ASGANResNetDiscriminator, ASGANResNetGenerator
from sparring.networks.resnet import ResNetDiscriminator, ResNetGenerator

__all__ = [
    "ASGANResNetDiscriminator",
    "ASGANResNetGenerator",
    "Classifier",
    "ClassifierFeatures",
    "ClassifierModule",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "Discriminator",
    "Extractor",
    "FeatureNetwork",
    "Generator",
    "InceptionFeatures",
    "InceptionV3",
    "MLPDiscriminatorSpec",
    "MLPGeneratorSpec",
    "MNISTDiscriminator",
    "MNISTGenerator",
    "Network",
    "NormalPrior",
    "Prior",
    "ResNetDiscriminator",
    "ResNetGenerator",
    "Schooling",
    "SmallCNN",
    "SmallResNet",
    "UniformPrior",
    "Verdict",
    "Viewer",
    "weights_sha256",
]
