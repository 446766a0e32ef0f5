"""Criterion: the loss that an attack on a classifier ascends, as a function of its logits.

z are the logits of one sample, y its class, t a class that the attack wants instead, and z_(1) >= z_(2) >= ... the
sorted logits.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from sparring.core.pieces import Piece, piece
from sparring.core.shapes import at_least_fp32

Logits = Float[Tensor, "n classes"]
Labels = Int[Tensor, "n"]
Losses = Float[Tensor, "n"]

_TINY = 1e-12


class Criterion(Piece, family="criterion"):
    """What an attacker wants of a classifier's logits.

    Attributes:
        targeted: whether a class to end at can be given.
    """

    targeted: ClassVar[bool] = False

    @abstractmethod
    def loss(self, logits: Logits, labels: Labels) -> Losses:
        """The loss to ascend, away from the samples' own classes; fp32 or fp64."""

    def toward(self, logits: Logits, labels: Labels, targets: Labels) -> Losses:
        """The loss to ascend from the samples' own classes to the targets.

        Raises:
            NotImplementedError: the criterion takes no target; ask `targeted` first.
        """
        raise NotImplementedError(self.name)


class TargetedCriterion(Criterion):
    """A criterion with a target; where none is given, it is the most likely wrong class at every step."""

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
class Margin(Criterion):
    """max_{i != y} z_i - z_y: positive where the sample is misclassified (Carlini and Wagner 2017, f_6)."""

    def loss(self, logits: Logits, labels: Labels) -> Losses:
        wide = at_least_fp32(logits)
        return _without(wide, labels).amax(-1) - _at(wide, labels)


@piece("dlr")
class DLR(Criterion):
    """(max_{i != y} z_i - z_y) / (z_(1) - z_(3)): no shift or scale of the logits hides its slope.

    With two classes every such ratio is constant, and the loss is the margin itself.

    Source: Croce and Hein 2020, equation (6).
    """

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

    With three classes z_(3) stands for z_(4) as well; with two the loss is z_t - z_y.

    Source: Croce and Hein 2020, equation (7).
    """

    def toward(self, logits: Logits, labels: Labels, targets: Labels) -> Losses:
        wide = at_least_fp32(logits)
        margin = _at(wide, targets) - _at(wide, labels)
        if logits.shape[-1] < 3:
            return margin
        top = wide.topk(min(4, logits.shape[-1])).values
        return margin / (top[:, 0] - top[:, 2:].mean(-1)).clamp(min=_TINY)


def wrong_classes(logits: Logits, labels: Labels, count: int) -> Int[Tensor, "n count"]:
    """The most likely classes but the samples' own, most likely first."""
    return _without(logits.detach(), labels).topk(count).indices


def _without(logits: Logits, labels: Labels) -> Logits:
    return logits.scatter(1, labels[:, None], -torch.inf)


def _at(logits: Logits, classes: Labels) -> Losses:
    return logits.gather(1, classes[:, None])[:, 0]
