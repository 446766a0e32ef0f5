"""A discriminator's class branch as a classifier, and a classifier's features as a discriminator.

Source: Rob-GAN, section 3.3 and figure 5: f(x; w) of the fine-tuning is the classifier branch of D.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from torch import nn

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.shapes import Space
from sparring.networks.base import require_square_images
from sparring.networks.classifiers import Classifier, ClassifierModule, TrainingSettings
from sparring.networks.heads import AuxiliaryHead, AuxiliaryModule, Discriminator, DiscriminatorModule
from sparring.networks.initial import initialise, xavier_uniform


@piece("branch")
class Branch(Classifier):
    """The class branch of a discriminator: its trunk, and the class layer of an auxiliary head.

    Args:
        discriminator: the discriminator; its own head is ignored.
    """

    training: ClassVar[TrainingSettings] = TrainingSettings(images_seen=300_000, rate=1e-3)

    discriminator: Discriminator

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> ClassifierModule:
        spec = self.discriminator.model_copy(update={"head": AuxiliaryHead()})
        whole = spec.build(space, lead, rng=rng)
        assert isinstance(whole.head, AuxiliaryModule)
        with torch.random.fork_rng(devices=[]):
            branch = ClassifierModule(whole.trunk, whole.width, space.classes)
        branch.output = whole.head.classes
        return branch


@piece("trunk")
class Trunk(Discriminator):
    """The features of a classifier with a discriminator's head.

    Args:
        classifier: the classifier; its layer of logits is ignored.
    """

    classifier: Classifier

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> DiscriminatorModule:
        require_square_images(self, space, lead)
        body = self.classifier.build(replace(space, classes=1), (), rng=rng)
        with torch.random.fork_rng(devices=[]):
            head = self.head.build(body.width, space.classes, nn.Linear)
        initialise(head, lambda _name: xavier_uniform(1.0), rng=rng)
        return DiscriminatorModule(body.features, body.width, head)
