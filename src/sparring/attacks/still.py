"""No attack, where one is asked for: plain training is adversarial training that moves nothing."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sparring.attacks.base import Attack, LossFunction
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, Space


@piece("none")
class NoAttack(Attack):
    """Moves nothing, and looks at nothing."""

    epsilon: Annotated[float, Field(ge=0, le=0)] = 0.0

    def search(self, x: Samples, loss: LossFunction, *, space: Space, rng: Rng) -> Samples:
        return x
