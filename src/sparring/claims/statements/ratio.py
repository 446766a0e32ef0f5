"""How many times as large one term is as another."""

from __future__ import annotations

import math

from sparring.claims.statements.base import Sample, Statement, Table, Term
from sparring.core.pieces import piece
from sparring.core.records import Positive


@piece("times")
class Times(Statement):
    """left > factor x right, by the mean of log(left / right) - log(factor) over seeds.

    A seed with a number that is not above zero has no ratio.

    Args:
        left: the larger one.
        right: the smaller one.
        factor: how many times as large.

    Source: Rob-GAN, section 1: "3 to 7 times" faster.
    """

    left: Term
    right: Term
    factor: Positive

    def sample(self, table: Table) -> Sample:
        lefts, rights = table.by_seed(self.left), table.by_seed(self.right)
        pairs = [(lefts[seed], rights[seed]) for seed in lefts if seed in rights]
        positive = [pair for pair in pairs if min(pair) > 0]
        return Sample(tuple(math.log(left / right) - math.log(self.factor) for left, right in positive))

    @property
    def text(self) -> str:
        return f"{self.left} > {self.factor:g} x {self.right}"

    @property
    def terms(self) -> tuple[Term, ...]:
        return self.left, self.right
