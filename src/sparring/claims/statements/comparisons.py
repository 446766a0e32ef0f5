"""Comparisons of two terms, or of a term and a number."""

from __future__ import annotations

from abc import ABC

from sparring.claims.statements.base import Sample, Statement, Table, Term
from sparring.core.pieces import piece
from sparring.core.records import NonNegative
from sparring.report.metric_info import SUCCESS


@piece("greater")
class Greater(Statement):
    """left > right + margin, seed by seed.

    Args:
        left: the larger one.
        right: the smaller one.
        margin: by how much, at least.
    """

    left: Term
    right: Term
    margin: float = 0.0

    def sample(self, table: Table) -> Sample:
        pairs = _pairs(table, self.left, self.right)
        return Sample(tuple(left - right - self.margin for left, right in pairs), pairs, margin=self.margin)

    @property
    def text(self) -> str:
        more = f" {'-' if self.margin < 0 else '+'} {abs(self.margin):g}" if self.margin else ""
        return f"{self.left} > {self.right}{more}"

    @property
    def terms(self) -> tuple[Term, ...]:
        return self.left, self.right


class AgainstNumber(Statement, ABC):
    """A term against a number; of a share of successes, which may be the same in all seeds, the games are counted.

    Args:
        left: the term.
        bound: the number.
    """

    left: Term
    bound: float

    @property
    def terms(self) -> tuple[Term, ...]:
        return (self.left,)

    def games(self, table: Table) -> int:
        """How many games of every seed the term is a share of successes of; 0 for other numbers."""
        is_share = self.left.measure == SUCCESS and 0 < self.bound < 1
        return table.games(self.left) if is_share else 0


@piece("above")
class Above(AgainstNumber):
    """left > bound."""

    def sample(self, table: Table) -> Sample:
        values = tuple(value - self.bound for value in table.by_seed(self.left).values())
        return Sample(values, margin=self.bound, games=self.games(table))

    @property
    def text(self) -> str:
        return f"{self.left} > {self.bound:g}"


@piece("below")
class Below(AgainstNumber):
    """left < bound."""

    def sample(self, table: Table) -> Sample:
        values = tuple(self.bound - value for value in table.by_seed(self.left).values())
        return Sample(values, margin=1 - self.bound, games=self.games(table))

    @property
    def text(self) -> str:
        return f"{self.left} < {self.bound:g}"


@piece("near")
class Near(Statement):
    """|left - right| < margin: both are equal for practical purposes. Judged by two one-sided tests.

    Args:
        left: the term.
        right: another term, or a number such as one in print.
        margin: what is no difference.
    """

    left: Term
    right: Term | float
    margin: NonNegative

    def sample(self, table: Table) -> Sample:
        if isinstance(self.right, Term):
            pairs = _pairs(table, self.left, self.right)
            return Sample(tuple(left - right for left, right in pairs), pairs, "near", self.margin)
        values = tuple(value - self.right for value in table.by_seed(self.left).values())
        return Sample(values, aim="near", margin=self.margin)

    @property
    def text(self) -> str:
        right = self.right if isinstance(self.right, Term) else f"{self.right:g}"
        return f"{self.left} = {right} to within {self.margin:g}"

    @property
    def terms(self) -> tuple[Term, ...]:
        return (self.left, self.right) if isinstance(self.right, Term) else (self.left,)


def _pairs(table: Table, left: Term, right: Term) -> tuple[tuple[float, float], ...]:
    """Both numbers of every seed that has both."""
    lefts, rights = table.by_seed(left), table.by_seed(right)
    return tuple((lefts[seed], rights[seed]) for seed in lefts if seed in rights)
