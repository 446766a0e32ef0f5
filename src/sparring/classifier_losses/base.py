"""Classifier loss: what the weights descend on samples before and after an attack, and what that attack ascends.

Notation: z = f(x) are the logits of a sample x of class y, z' = f(x') those of the attacked one x', p and p' their
softmax. Losses are in nats.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import ClassVar

import torch

from sparring.attacks import Attack, Classify, Criterion
from sparring.attacks.losses import Labels, Logits, Losses
from sparring.core.pieces import Piece
from sparring.core.shapes import Samples, at_least_fp32, sample_norm

Ascended = Callable[[Logits, Labels], Losses]
"""What an attack ascends: the logits of samples on their way and their labels, to a loss per sample."""


class ClassifierResponse:
    """The logits of a classifier in training mode on one batch. Each pass is run when it is first asked for.

    Args:
        classify: the classifier, samples `(n, ...)` to logits `(n, classes)`.
        clean: `(n, ...)`.
        attacked: the same samples after the attack, `(n, ...)`.
        differentiable: whether there are gradients with respect to the attacked samples; a pass may be cheaper without.
    """

    def __init__(self, classify: Classify, clean: Samples, attacked: Samples, *, differentiable: bool = False) -> None:
        self._classify, self._clean = classify, clean
        self.attacked_samples = attacked.detach().requires_grad_(differentiable)

    @cached_property
    def clean(self) -> Logits:
        """z, `(n, classes)`."""
        return self._classify(self._clean)

    @cached_property
    def attacked(self) -> Logits:
        """z', `(n, classes)`."""
        return self._classify(self.attacked_samples)

    def slope(self, losses: Losses) -> Losses:
        """|| d loss / d x' ||_2 per sample, in nats per unit of the data's own range; differentiable in the weights.

        Only for a loss that says `needs_slopes`.

        Args:
            losses: of z', `(n)`.
        """
        (gradient,) = torch.autograd.grad(losses.sum(), self.attacked_samples, create_graph=True)
        return sample_norm(gradient, 1)


class ClassifierLoss(Piece, family="classifier_loss"):
    """What a classifier descends in training.

    Attributes:
        needs_slopes: whether it uses `ClassifierResponse.slope`.
    """

    needs_slopes: ClassVar[bool] = False

    @abstractmethod
    def losses(self, response: ClassifierResponse, labels: Labels) -> Losses:
        """The loss per sample, `(n)`, at least fp32.

        Args:
            response: of the classifier to the batch.
            labels: `(n)`.
        """

    def ascended(self, criterion: Criterion, clean: Callable[[], Logits]) -> Ascended:
        """What the attack of the training ascends.

        Args:
            criterion: the recipe's.
            clean: computes the logits of the samples themselves, in the mode that is attacked, detached.
        """
        return criterion.loss

    def check(self, attack: Attack, criterion: Criterion) -> None:
        """Refuse an attack or a criterion that the loss cannot be trained with.

        Raises:
            ValueError: says why.
        """


def divergence(of: Logits, under: Logits) -> Losses:
    """KL(softmax(of) || softmax(under)) = sum_k p_k (log p_k - log q_k) per sample, in nats.

    Args:
        of, under: `(n, classes)`.
    """
    logs, others = (at_least_fp32(logits).log_softmax(-1) for logits in (of, under))
    return (logs.exp() * (logs - others)).sum(-1)
