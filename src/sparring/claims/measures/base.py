"""The family of measures: each finds one value of every game."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod

from sparring.claims.values import PlayedGame, Value
from sparring.core.pieces import Piece


class Measure(Piece, ABC, family="measure"):
    """What is measured of every game. A member implements `of`."""

    @property
    def key(self) -> str:
        """The measure as one line of JSON: the name of its values in a ledger."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    @abstractmethod
    def of(self, game: PlayedGame) -> Value:
        """The value of one game; None where it has none.

        Raises:
            UsageError: the run of the game has nothing like it.
        """

    def protocol(self, game: PlayedGame) -> str:
        """What was measured, and how: stands beside the numbers."""
        return ""
