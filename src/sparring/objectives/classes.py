"""What the players are paid for classes, beside what D's score is worth.

With l = log P(C = c | x), the log-likelihood of the class that a sample is said to be of, a player is paid

    w_source payoff(score) + w_classes l

for a real sample, for a generated one, and, if it is G, for its own. The famous losses are settings of the six weights.

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
    """What counts how much.

    Args:
        source: of the payoff for the score.
        classes: of the log-likelihood of the class.
    """

    source: NonNegative = 1.0
    classes: NonNegative = 1.0


_SCORE_ALONE = Weights(classes=0.0)


class ClassLoss(Piece, family="class_loss"):
    """The weights of score and class for each player.

    Args:
        real: of D on real samples.
        fake: of D on generated ones.
        generator: of G on its own.
    """

    real: Weights = _SCORE_ALONE
    fake: Weights = _SCORE_ALONE
    generator: Weights = _SCORE_ALONE

    def payoff(self, player: Player, source: Scores, logits: Tensor | None, labels: Tensor | None) -> Scores:
        """What a player is paid for samples, `(*batch)`.

        Args:
            player: who.
            source: its payoff for their scores, `(*batch)`.
            logits: D's class logits `(*batch, classes)`; not read where classes weigh nothing.
            labels: the classes that they are said to be of, `(*batch)`; likewise.
        """
        weights: Weights = getattr(self, player)
        if not weights.classes:
            return weights.source * source
        assert logits is not None
        assert labels is not None
        return weights.source * source + weights.classes * log_likelihood(logits, labels)

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
    """The score alone."""


@piece("ac")
class AuxiliaryClasses(ClassLoss):
    """AC-GAN: D is paid for the classes of real and of generated samples, and so is G (equation 8)."""

    real: Weights = Weights()
    fake: Weights = Weights()
    generator: Weights = Weights()


@piece("split")
class SplitClasses(ClassLoss):
    """Rob-GAN: D is paid for the classes of real samples alone, G for those of its own (equation 9)."""

    real: Weights = Weights()
    generator: Weights = Weights()


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
