"""Payoffs for classes, added to those for D's score.

With l = log P(C = c | x), the log-likelihood of a sample's label, the payoff is

    w_source payoff(score) + w_classes l

with weights for D on real samples, for D on generated samples, and for G. The known losses are settings of these six.

Source: Odena, Olah, Shlens 2017; Rob-GAN, equations (8) and (9).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from sparring.core.pieces import Piece, piece
from sparring.core.records import NonNegative, Record
from sparring.core.shapes import Scores, at_least_fp32

Player = Literal["real", "fake", "generator"]
"""D on real samples, D on generated ones, G."""


class Weights(Record):
    """Weights of one player.

    Args:
        source: weight of the payoff for the score.
        classes: weight of the log-likelihood of the class.
    """

    source: NonNegative = 1.0
    classes: NonNegative = 1.0


_SCORE_ALONE = Weights(classes=0.0)


class ClassLoss(Piece, family="class_loss"):
    """The weights of score and class for each player.

    Args:
        real: weights of D on real samples.
        fake: weights of D on generated samples.
        generator: weights of G.
    """

    real: Weights = _SCORE_ALONE
    fake: Weights = _SCORE_ALONE
    generator: Weights = _SCORE_ALONE

    def payoff(self, player: Player, source: Scores, logits: Tensor | None, labels: Tensor | None) -> Scores:
        """A player's payoff per sample, `(*batch)`.

        Args:
            player: D on real samples, D on generated samples, or G.
            source: its payoff for the scores, `(*batch)`.
            logits: D's class logits `(*batch, classes)`; unused if the weight of classes is zero.
            labels: of the samples, `(*batch)`; unused likewise.
        """
        weights: Weights = getattr(self, player)
        if not weights.classes:
            return weights.source * source
        assert logits is not None
        assert labels is not None
        return weights.source * source + weights.classes * self.class_payoff(player, logits, labels)

    def class_payoff(self, player: Player, logits: Tensor, labels: Tensor) -> Scores:
        """l, a player's payoff for the class of every sample, `(*batch)`: the log-likelihood of its label."""
        return log_likelihood(logits, labels)

    @property
    def needs_logits(self) -> bool:
        """Whether D must have a class head, and every sample a class."""
        return any(weights.classes for weights in (self.real, self.fake, self.generator))


def log_likelihood(logits: Tensor, labels: Tensor) -> Scores:
    """log P(C = label | x) in fp32 or fp64: `(*batch, classes)`, `(*batch)` to `(*batch)`."""
    logs = torch.log_softmax(at_least_fp32(logits), dim=-1)
    return logs.gather(-1, labels.unsqueeze(-1)).squeeze(-1)


@piece("none")
class NoClasses(ClassLoss):
    """No payoff for classes."""


@piece("ac")
class AuxiliaryClasses(ClassLoss):
    """AC-GAN: payoffs for classes to D on real and generated samples, and to G (equation 8)."""

    real: Weights = Weights()
    fake: Weights = Weights()
    generator: Weights = Weights()


@piece("split")
class SplitClasses(ClassLoss):
    """Rob-GAN: payoffs for classes to D on real samples, and to G (equation 9)."""

    real: Weights = Weights()
    generator: Weights = Weights()


@piece("uniform_fakes")
class UniformFakes(ClassLoss):
    """FastGAN: as `ac`, but D is paid for class logits of generated samples near uniform, (1/K) sum_c log P(c | x).

    Source: Zhong, Liu, Hsieh 2020, Improving the speed and quality of GAN by adversarial training.
    """

    real: Weights = Weights()
    fake: Weights = Weights()
    generator: Weights = Weights()

    def class_payoff(self, player: Player, logits: Tensor, labels: Tensor) -> Scores:
        if player != "fake":
            return super().class_payoff(player, logits, labels)
        return torch.log_softmax(at_least_fp32(logits), dim=-1).mean(-1)


@piece("ac_published")
class PublishedAuxiliaryClasses(ClassLoss):
    """`ac` with the weights of Rob-GAN's published code: halves throughout."""

    real: Weights = Weights(source=0.5, classes=0.5)
    fake: Weights = Weights(source=0.5, classes=0.5)
    generator: Weights = Weights(source=0.5, classes=0.5)


@piece("split_published")
class PublishedSplitClasses(ClassLoss):
    """`split` with the weights of Rob-GAN's published code: halves, but the score of generated samples counts 1."""

    real: Weights = Weights(source=0.5, classes=0.5)
    generator: Weights = Weights(source=0.5, classes=0.5)
