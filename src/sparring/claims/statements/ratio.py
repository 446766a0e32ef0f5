"""How many times as large one term is as another."""

from __future__ import annotations

import math

from sparring.claims.statements.base import Sample, Statement, Table, Term
from sparring.core.errors import UsageError
from sparring.core.pieces import piece
from sparring.core.records import Positive


@piece("times")
class Times(Statement):
    """left > factor x right, by the mean of log(left / right) - log(factor) over seeds.

    Args:
        left: the larger one, positive.
        right: the smaller one, positive.
        factor: how many times as large.

    Source: Rob-GAN, section 1: "3 to 7 times" faster.
    """

    left: Term
    right: Term
    factor: Positive

    def sample(self, table: Table) -> Sample:
        lefts, rights = table.by_seed(self.left), table.by_seed(self.right)
        pairs = [(lefts[seed], rights[seed]) for seed in lefts if seed in rights]
        if any(side <= 0 for pair in pairs for side in pair):
            raise UsageError(f"{self.text}: a number is not above zero, so there is no ratio", "use `greater`")
        return Sample(tuple(math.log(left / right) - math.log(self.factor) for left, right in pairs))

    @property
    def text(self) -> str:
        return f"{self.left} > {self.factor:g} x {self.right}"

    @property
    def terms(self) -> tuple[Term, ...]:
        return self.left, self.right
