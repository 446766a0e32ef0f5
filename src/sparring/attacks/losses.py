"""The losses that attacks ascend: `Aim` of D's payoff on a sample, `Criterion` of a classifier's logits.

Aim: g is the objective's payoff of D for the side that the sample is on, `real` or `fake`.

Criterion: z are the logits of one sample, y its class, t a target class, and z_(1) >= z_(2) >= ... the sorted logits.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from sparring.core.pieces import Piece, piece
from sparring.core.shapes import Scores, at_least_fp32, expand_like

Logits = Float[Tensor, "n classes"]
Labels = Int[Tensor, "n"]
Losses = Float[Tensor, "n"]

_TINY = 1e-12


class Aim(Piece, family="aim"):
    """The loss of an attack on D.

    Attributes:
        constant_slope: whether d loss / d payoff is the same number for every sample, so that the gradient of the
            loss is a multiple of the payoff's even where a batch couples its samples.
    """

    constant_slope: ClassVar[bool] = False

    @abstractmethod
    def loss(self, payoff: Scores, opposite: Callable[[], Scores]) -> Scores:
        """The loss to ascend, per sample.

        Args:
            payoff: g(D(x)) of the attacked samples, `(*batch)`.
            opposite: the mean of the same g over the other side's samples, detached, `()` or `(replicas)`.
        """

    def slope(self, payoff: Scores, opposite: Callable[[], Scores]) -> Scores:
        """d loss / d payoff, `(*batch)`."""
        leaf = payoff.detach().requires_grad_()
        with torch.enable_grad():
            (slope,) = torch.autograd.grad(self.loss(leaf, opposite).sum(), leaf)
        return slope


@piece("payoff")
class Payoff(Aim):
    """D's payoff on the sample, to be lowered: AS-GAN, equation (9)."""

    constant_slope: ClassVar[bool] = True

    def loss(self, payoff: Scores, opposite: Callable[[], Scores]) -> Scores:
        return -payoff

    def slope(self, payoff: Scores, opposite: Callable[[], Scores]) -> Scores:
        return -torch.ones_like(payoff)


@piece("distance")
class Distance(Aim):
    """|g(D(x)) - mean of g over the other side|, to be lowered: DAT, equation (9)."""

    def loss(self, payoff: Scores, opposite: Callable[[], Scores]) -> Scores:
        mean = opposite()
        return -(payoff - expand_like(mean, payoff)).abs()


class Criterion(Piece, family="criterion"):
    """The loss of an attack on a classifier.

    Attributes:
        targeted: whether it can aim at a given class.
        signed: whether it is positive exactly where the sample is misclassified (as the target class).
    """

    targeted: ClassVar[bool] = False
    signed: ClassVar[bool] = False

    @abstractmethod
    def loss(self, logits: Logits, labels: Labels) -> Losses:
        """The loss of an untargeted attack, per sample; fp32 or fp64."""

    def toward(self, logits: Logits, labels: Labels, targets: Labels) -> Losses:
        """The loss of an attack towards target classes, per sample.

        Raises:
            NotImplementedError: the criterion is not `targeted`.
        """
        raise NotImplementedError(self.name)


class TargetedCriterion(Criterion):
    """A criterion with a target class: by default the most likely wrong class at every step."""

    targeted: ClassVar[bool] = True

    def loss(self, logits: Logits, labels: Labels) -> Losses:
        return self.toward(logits, labels, wrong_classes(logits, labels, 1)[:, 0])

    @abstractmethod
    def toward(self, logits: Logits, labels: Labels, targets: Labels) -> Losses: ...


@piece("cross_entropy")
class CrossEntropy(Criterion):
    """-log softmax(z)_y."""

    def loss(self, logits: Logits, labels: Labels) -> Losses:
        return F.cross_entropy(at_least_fp32(logits), labels, reduction="none")


@piece("margin")
class Margin(TargetedCriterion):
    """z_t - z_y; without a target max_{i != y} z_i - z_y (Carlini and Wagner 2017, f_6)."""

    signed: ClassVar[bool] = True

    def loss(self, logits: Logits, labels: Labels) -> Losses:
        wide = at_least_fp32(logits)
        return _without(wide, labels).max(1).values - _at(wide, labels)

    def toward(self, logits: Logits, labels: Labels, targets: Labels) -> Losses:
        wide = at_least_fp32(logits)
        return _at(wide, targets) - _at(wide, labels)


@piece("dlr")
class DLR(Criterion):
    """(max_{i != y} z_i - z_y) / (z_(1) - z_(3)): invariant to shifts and scales of the logits.

    With two classes the ratio is constant, and the loss is the margin itself.

    Source: Croce and Hein 2020, equation (6).
    """

    signed: ClassVar[bool] = True

    def loss(self, logits: Logits, labels: Labels) -> Losses:
        margin = Margin().loss(logits, labels)
        if logits.shape[-1] < 3:
            return margin
        top = at_least_fp32(logits).topk(3).values
        return margin / (top[:, 0] - top[:, 2]).clamp(min=_TINY)


@piece("targeted_cross_entropy")
class TargetedCrossEntropy(TargetedCriterion):
    """log softmax(z)_t."""

    def toward(self, logits: Logits, labels: Labels, targets: Labels) -> Losses:
        return -F.cross_entropy(at_least_fp32(logits), targets, reduction="none")


@piece("targeted_dlr")
class TargetedDLR(TargetedCriterion):
    """(z_t - z_y) / (z_(1) - (z_(3) + z_(4)) / 2): APGD-T's loss.

    With three classes z_(4) is replaced by z_(3); with two the loss is z_t - z_y.

    Source: Croce and Hein 2020, equation (7).
    """

    signed: ClassVar[bool] = True

    def toward(self, logits: Logits, labels: Labels, targets: Labels) -> Losses:
        wide = at_least_fp32(logits)
        margin = _at(wide, targets) - _at(wide, labels)
        if logits.shape[-1] < 3:
            return margin
        top = wide.topk(min(4, logits.shape[-1])).values
        return margin / (top[:, 0] - top[:, 2:].mean(-1)).clamp(min=_TINY)


def wrong_classes(logits: Logits, labels: Labels, count: int) -> Int[Tensor, "n count"]:
    """The most likely wrong classes of every sample, most likely first."""
    return _without(logits.detach(), labels).topk(count).indices


def _without(logits: Logits, labels: Labels) -> Logits:
    return logits.scatter(1, labels.unsqueeze(1), -torch.inf)


def _at(logits: Logits, classes: Labels) -> Losses:
    return logits.gather(1, classes.unsqueeze(1)).squeeze(1)
