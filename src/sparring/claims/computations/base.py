"""The family of computations: functions of settings and a seed that return named values."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from sparring.claims.values import Value
from sparring.core.pieces import Piece


class Computation(Piece, ABC, family="computation"):
    """A computation in place of a training run. A member implements `compute`."""

    @abstractmethod
    def compute(self, seed: int) -> Mapping[str, Value]:
        """Named values; the seed draws what is random, such as the finite games on which a lemma is tried."""
