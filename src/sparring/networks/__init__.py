"""Generators, discriminators and classifiers."""

from sparring.core.pieces import import_members
from sparring.networks.asgan_resnet import ASGANResNetDiscriminator, ASGANResNetGenerator
from sparring.networks.base import (
    Codes,
    FeatureNetwork,
    Generator,
    Network,
    NormalPrior,
    Precision,
    Prior,
    UniformPrior,
    Verdict,
    chosen_classes,
    forward,
    spread,
)
from sparring.networks.classifiers import (
    Branch,
    Classifier,
    ClassifierModule,
    SmallCNN,
    SmallResNet,
    TrainingSettings,
    Trunk,
)
from sparring.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from sparring.networks.deep_classifiers import VGG16, PreActResNet18
from sparring.networks.extractors import (
    ClassifierFeatures,
    Extractor,
    FrozenClassifier,
    InceptionFeatures,
    weights_sha256,
)
from sparring.networks.fused import prepared_for_attack
from sparring.networks.heads import (
    AuxiliaryHead,
    ClassHead,
    Discriminator,
    DiscriminatorModule,
    Head,
    ProjectionHead,
    SourceHead,
)
from sparring.networks.inception import InceptionV3
from sparring.networks.mlp import MLPDiscriminator, MLPGenerator
from sparring.networks.mnist import MNISTDiscriminator, MNISTGenerator
from sparring.networks.resnet18 import ResNet18
from sparring.networks.sngan_robgan import (
    RobGANDiscriminator,
    RobGANGenerator,
    SNGANDiscriminator,
    SNGANGenerator,
)
from sparring.networks.wgan_gp_resnet import ResNetDiscriminator, ResNetGenerator
from sparring.networks.wide_resnet import WideResNet

__all__ = [
    "VGG16",
    "ASGANResNetDiscriminator",
    "ASGANResNetGenerator",
    "AuxiliaryHead",
    "Branch",
    "ClassHead",
    "Classifier",
    "ClassifierFeatures",
    "ClassifierModule",
    "Codes",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "Discriminator",
    "DiscriminatorModule",
    "Extractor",
    "FeatureNetwork",
    "FrozenClassifier",
    "Generator",
    "Head",
    "InceptionFeatures",
    "InceptionV3",
    "MLPDiscriminator",
    "MLPGenerator",
    "MNISTDiscriminator",
    "MNISTGenerator",
    "Network",
    "NormalPrior",
    "PreActResNet18",
    "Precision",
    "Prior",
    "ProjectionHead",
    "ResNet18",
    "ResNetDiscriminator",
    "ResNetGenerator",
    "RobGANDiscriminator",
    "RobGANGenerator",
    "SNGANDiscriminator",
    "SNGANGenerator",
    "SmallCNN",
    "SmallResNet",
    "SourceHead",
    "TrainingSettings",
    "Trunk",
    "UniformPrior",
    "Verdict",
    "WideResNet",
    "chosen_classes",
    "forward",
    "prepared_for_attack",
    "spread",
    "weights_sha256",
]

import_members(__name__, __path__)
