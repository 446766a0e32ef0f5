"""Objectives: payoffs of D and G per sample, as functions of D's score.

D returns a raw score s, the logit of the probability D(x) of the papers. D ascends the mean of `real` over data and of
`fake` over generated samples; G ascends the mean of `generator` over the scores that the feedback lets through.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from sparring.core.pieces import Piece
from sparring.core.shapes import Scores, at_least_fp32


class Objective(Piece, family="objective"):
    """Payoffs of both players, elementwise in the score and computed in at least fp32."""

    @abstractmethod
    def real(self, score: Scores) -> Scores:
        """D's payoff for a real sample, `(*batch) -> (*batch)`."""

    @abstractmethod
    def fake(self, score: Scores) -> Scores:
        """D's payoff for a generated sample, `(*batch) -> (*batch)`."""

    @abstractmethod
    def generator(self, score: Scores) -> Scores:
        """G's payoff for a generated sample with this (perhaps perturbed) score, `(*batch) -> (*batch)`."""


class ZeroSum(Objective):
    """The zero-sum game of one increasing function f, equations (3.1) and (3.2) with f_D = f_G = f.

    D's payoff is f(D(x)) on real samples and f(1 - D(x)) on generated ones; G's is the negative of the latter.
    Since 1 - D has the score -s, a member defines only `payoff(s) = f(sigmoid(s))`, or a function of the raw score.

    Source: Xu, Li, Jegelka, sections 3.2 and 6.
    """

    @abstractmethod
    def payoff(self, score: Scores) -> Scores:
        """f as a function of the score."""

    def real(self, score: Scores) -> Scores:
        return self.payoff(at_least_fp32(score))

    def fake(self, score: Scores) -> Scores:
        return self.payoff(-at_least_fp32(score))

    def generator(self, score: Scores) -> Scores:
        return -self.payoff(-at_least_fp32(score))


def is_odd(payoff: Callable[[Tensor], Tensor]) -> bool:
    """Whether f(-s) = -f(s) holds numerically for a function of the score: the assumption of Theorems 5 and 6.

    Args:
        payoff: a callable `score -> payoff`, tried in fp64 on scores from -50 to 50.

    Example:
        >>> from sparring.objectives import Hinge, SquareRoot
        >>> is_odd(SquareRoot().real), is_odd(Hinge().real)
        (True, False)
    """
    score = torch.linspace(-50.0, 50.0, 2001, dtype=torch.float64)
    values, mirrored = payoff(score), payoff(-score)
    scale = values.abs().max().clamp(min=1.0)
    return bool(((values + mirrored).abs() <= 1e-9 * scale).all())


def is_increasing(payoff: Callable[[Tensor], Tensor]) -> bool:
    """Whether a function of the score strictly increases on [-8, 8], the range that fp64 resolves."""
    values = payoff(torch.linspace(-8.0, 8.0, 2001, dtype=torch.float64))
    return bool((values.diff() > 0).all())
