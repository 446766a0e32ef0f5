"""Aim: the loss that an attack on D ascends, as a function of D's payoff g(D(x)) on the attacked sample.

g is the objective's payoff of D for the side that the sample is on: `real` or `fake`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch

from sparring.core.pieces import Piece, piece
from sparring.core.shapes import Scores, expand_like


class Aim(Piece, family="aim"):
    """What the attacker wants of D.

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


@piece("distance")
class Distance(Aim):
    """|g(D(x)) - mean of g over the other side|, to be lowered: DAT, equation (9)."""

    def loss(self, payoff: Scores, opposite: Callable[[], Scores]) -> Scores:
        mean = opposite()
        return -(payoff - expand_like(mean, payoff)).abs()
