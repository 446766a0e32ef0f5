"""The family of measures: each finds one value of every game."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from typing import Annotated

from pydantic import Field

from sparring.claims.values import Labels, PlayedGame, Value
from sparring.core.pieces import Piece


class Measure(Piece, ABC, family="measure"):
    """What is measured of every game. A member implements `of`.

    Args:
        groups: names of the groups of cells that are measured; all of them by default.
    """

    groups: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @property
    def key(self) -> str:
        """The measure as one line of JSON, whatever the groups: the name of its values in a ledger."""
        values = self.model_dump(mode="json")
        del values["groups"]
        return json.dumps(values, sort_keys=True)

    def is_of(self, labels: Labels) -> bool:
        """Whether the cell with these labels is measured."""
        return not self.groups or labels.get("cells") in self.groups

    @abstractmethod
    def of(self, game: PlayedGame) -> Value:
        """The value of one game; None where it has none.

        Raises:
            UsageError: the run of the game has nothing like it.
        """

    def of_failed(self, rounds: int) -> Value:
        """The value of a game whose run ended because its numbers were not finite.

        Args:
            rounds: that the game was to have.
        """
        return None

    def protocol(self, game: PlayedGame) -> str:
        """What was measured, and how: stands beside the numbers."""
        return ""
