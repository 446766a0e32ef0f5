"""The standard objectives: log (equation 2.1), non-saturating, least squares, hinge; and one for D, another for G."""

from __future__ import annotations

import torch.nn.functional as F

from sparring.core.pieces import piece
from sparring.core.records import Positive
from sparring.core.shapes import Scores, at_least_fp32
from sparring.objectives.base import Objective, ZeroSum


@piece("log")
class Log(ZeroSum):
    """The standard GAN as a zero-sum game: f = log, D ascends log D(x) + log(1 - D(G(z))), G descends it.

    On scores f(s) = logsigmoid(s). G's payoff -log(1 - D) saturates where D is confident.

    Source: Xu, Li, Jegelka, equation (2.1).
    """

    def payoff(self, score: Scores) -> Scores:
        return F.logsigmoid(score)


@piece("nonsaturating")
class NonSaturating(Log):
    """D as in `log`; G ascends log D(G(z)) instead, whose gradient does not vanish where D is confident.

    Source: Goodfellow et al. 2014, section 3.
    """

    def generator(self, score: Scores) -> Scores:
        return F.logsigmoid(at_least_fp32(score))


@piece("least_squares")
class LeastSquares(Objective):
    """D ascends -(s - 1)^2 / 2 on real and -s^2 / 2 on fake samples, G ascends -(s - 1)^2 / 2, on raw scores.

    Source: Mao et al. 2017, equation (9).
    """

    def real(self, score: Scores) -> Scores:
        return -0.5 * (at_least_fp32(score) - 1) ** 2

    def fake(self, score: Scores) -> Scores:
        return -0.5 * at_least_fp32(score) ** 2

    def generator(self, score: Scores) -> Scores:
        return self.real(score)


@piece("hinge")
class Hinge(Objective):
    """D ascends min(0, s - margin) on real and min(0, -s - margin) on fake samples, G ascends s, on raw scores.

    Source: Lim and Ye 2017; Miyato et al. 2018, equations (16) and (17).
    """

    margin: Positive = 1.0

    def real(self, score: Scores) -> Scores:
        return -F.relu(self.margin - at_least_fp32(score))

    def fake(self, score: Scores) -> Scores:
        return self.real(-score)

    def generator(self, score: Scores) -> Scores:
        return at_least_fp32(score)


@piece("apart")
class Apart(Objective):
    """One objective for D, another for G.

    `{name: apart, f_d: log, f_g: linear}` is the paper's Framework 1.

    Args:
        f_d: objective of D: its `real` and `fake`.
        f_g: objective of G: its `generator`.

    Source: Xu, Li, Jegelka, equations (3.1), (3.2).
    """

    f_d: Objective
    f_g: Objective

    def real(self, score: Scores) -> Scores:
        return self.f_d.real(score)

    def fake(self, score: Scores) -> Scores:
        return self.f_d.fake(score)

    def generator(self, score: Scores) -> Scores:
        return self.f_g.generator(score)
