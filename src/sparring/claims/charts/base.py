"""The family of charts of claims."""

from __future__ import annotations

from abc import ABC, abstractmethod

from sparring.claims.results import ClaimValues
from sparring.core.pieces import Piece


class ClaimChart(Piece, ABC, family="claim_chart"):
    """A chart of a claim. A member implements `draw`.

    Args:
        title: above it.
    """

    title: str = ""

    @abstractmethod
    def draw(self, values: ClaimValues, key: str) -> str:
        """The chart as an inline SVG element, the same bytes for the same values.

        Args:
            values: of the cells, and the numbers in print.
            key: unique on a page; prefix of all ids in the SVG.
        """
