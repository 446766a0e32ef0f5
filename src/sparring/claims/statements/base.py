"""The family of statements: each makes one number of the cells of a claim for each seed, and says what it should be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import Field

from sparring.claims.values import Choice, Label, Where
from sparring.core.pieces import Piece
from sparring.core.records import Record


class Term(Record):
    """The mean of a measure over the cells that are meant, for each seed.

    Args:
        measure: its name in the entry.
        where: which cells.
    """

    measure: str
    where: Where = Field(default={})

    def __str__(self) -> str:
        inside = ", ".join(f"{axis} {_words(label)}" for axis, label in self.where.items())
        return f"{self.measure}[{inside}]" if inside else self.measure


class Table(Protocol):
    """The numbers of the cells of a claim."""

    def by_seed(self, term: Term) -> Mapping[int, float]:
        """The number of each seed, where every cell that is meant has one.

        Raises:
            UsageError: no cell is meant, or there is no such measure.
        """

    def games(self, term: Term) -> int:
        """How many cells are meant, each with one game of every seed.

        Raises:
            UsageError: no cell is meant.
        """

    def labels(self, axis: str) -> tuple[Label, ...]:
        """The labels of an axis in their order.

        Raises:
            UsageError: there is no such axis.
        """


@dataclass(frozen=True)
class Sample:
    """What a statement is judged by.

    Args:
        values: one number for each seed that has one: a difference, or a value less its bound.
        sides: the two numbers behind each difference; empty where there are none.
        aim: `positive` if the mean should be above zero; `near` if it should be within `margin` of zero.
        margin: of `near`; otherwise what `values` are less than the differences of `sides`, or than shares.
        games: of every seed, of whose successes its number is the share, less the margin; 0 for other numbers.
    """

    values: tuple[float, ...]
    sides: tuple[tuple[float, float], ...] = ()
    aim: Literal["positive", "near"] = "positive"
    margin: float = 0.0
    games: int = 0

    @property
    def is_binary(self) -> bool:
        """Whether both sides are successes and failures."""
        return bool(self.sides) and all(number in (0.0, 1.0) for pair in self.sides for number in pair)


class Statement(Piece, ABC, family="statement"):
    """One comparison. A member implements `sample` and `text`.

    Args:
        says: in words; `text` by default.
        not_comparable: why the numbers of both sides cannot be compared, as another feature extractor.
        unequal_budgets: why the sides may differ in the real samples that they see in training.
    """

    says: str = ""
    not_comparable: str = ""
    unequal_budgets: str = ""

    @abstractmethod
    def sample(self, table: Table) -> Sample:
        """One number for each seed."""

    @property
    @abstractmethod
    def text(self) -> str:
        """The comparison as a formula."""

    @property
    @abstractmethod
    def terms(self) -> tuple[Term, ...]:
        """Everything that it reads."""

    def sides(self, _table: Table) -> tuple[Term, ...]:
        """What it compares with each other."""
        return self.terms


def _words(label: Label | Choice) -> str:
    return " or ".join(map(str, label)) if isinstance(label, tuple) else str(label)
