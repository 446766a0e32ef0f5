"""The family of charts of claims."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import Annotated, TypeVar

from pydantic import Field

from sparring.claims.charts.value_axis import setting, value_axis
from sparring.claims.results import ClaimValues
from sparring.claims.values import Label, Where, labels_match
from sparring.core.pieces import Piece

Names = Annotated[tuple[str, ...], Field(strict=False)]
"""Several measures or axes."""
AnyName = TypeVar("AnyName", bound=Label)


class ClaimChart(Piece, ABC, family="claim_chart"):
    """A chart of a claim. A member implements `drawn`, `measures`, `axes` and `caption`.

    Args:
        title: above it.
        where: the cells that are drawn; all by default.
    """

    title: str = ""
    where: Where = Field(default={})

    def draw(self, values: ClaimValues, key: str) -> str:
        """The chart as an inline SVG element, the same bytes for the same values.

        Cells and seeds that are missing leave gaps.

        Args:
            values: of the cells, and the numbers in print.
            key: unique on a page; prefix of all ids in the SVG.
        """
        cells = tuple(cell for cell in values.cells if labels_match(cell.labels, self.where))
        return self.drawn(replace(values, cells=cells), key)

    @property
    def heading(self) -> str:
        """Its title, or what its first measure is called and which cells are drawn."""
        chosen = (setting(axis, " or ".join(map(str, as_tuple(label)))) for axis, label in self.where.items())
        return self.title or ", ".join([value_axis(self.measures[0]).title, *chosen])

    @abstractmethod
    def drawn(self, values: ClaimValues, key: str) -> str:
        """As `draw`, of the cells that are meant."""

    @property
    @abstractmethod
    def measures(self) -> tuple[str, ...]:
        """Names of the measures that it draws."""

    @property
    @abstractmethod
    def axes(self) -> tuple[str, ...]:
        """Names of the axes that it draws over."""

    @property
    @abstractmethod
    def caption(self) -> str:
        """How to read it."""


def as_tuple(names: AnyName | tuple[AnyName, ...]) -> tuple[AnyName, ...]:
    """One name or several, as a tuple; nothing for an empty name."""
    return names if isinstance(names, tuple) else () if names == "" else (names,)
