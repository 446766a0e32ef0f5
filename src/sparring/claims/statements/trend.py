"""A trend along an axis."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.stats import rankdata

from sparring.claims.statements.base import Sample, Statement, Table, Term
from sparring.core.pieces import piece


@piece("trend")
class Trend(Statement):
    """A term rises or falls along an axis: Spearman's rank correlation of each seed is positive or negative.

    A seed whose numbers are all equal has a correlation of zero.

    Args:
        term: what rises or falls; `where` does not name the axis.
        along: the axis; its labels in their order.
        direction: `rises` or `falls`.
    """

    term: Term
    along: str
    direction: Literal["rises", "falls"]

    def sample(self, table: Table) -> Sample:
        columns = [table.by_seed(each) for each in self.sides(table)]
        seeds = [seed for seed in columns[0] if all(seed in column for column in columns)]
        sign = 1.0 if self.direction == "rises" else -1.0
        return Sample(tuple(sign * _spearman([column[seed] for column in columns]) for seed in seeds))

    @property
    def text(self) -> str:
        return f"{self.term} {self.direction} with {self.along}"

    @property
    def terms(self) -> tuple[Term, ...]:
        return (self.term,)

    def sides(self, table: Table) -> tuple[Term, ...]:
        labels = table.labels(self.along)
        return tuple(Term(measure=self.term.measure, where={**self.term.where, self.along: label}) for label in labels)


def _spearman(values: list[float]) -> float:
    """Spearman's rank correlation of values with their places; 0 where all are equal."""
    ranks, places = rankdata(values), np.arange(len(values))
    if np.ptp(ranks) == 0:
        return 0.0
    return float(np.corrcoef(ranks, places)[0, 1])
