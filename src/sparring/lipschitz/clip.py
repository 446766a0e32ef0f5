"""Weight clipping: every parameter of D is held in [-bound, bound].

Source: Arjovsky et al. 2017, algorithm 1 (after D's step); Xu, Li, Jegelka, sections 5.1 and 5.2 and appendix B (before
D's step, so that G learns from a D that is one step outside of the bound).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from sparring.core.pieces import piece
from sparring.core.records import Positive
from sparring.lipschitz.base import Lipschitz


@piece("clip")
class Clip(Lipschitz):
    """Clip D's parameters; with spectral norm these are what it divides, not the quotient.

    Args:
        bound: the largest absolute value of a parameter.
        when: `after` each of D's steps, or `before` each of its turns.
    """

    bound: Positive = 0.1
    when: Literal["before", "after"] = "after"

    def prepare(self, discriminator: nn.Module) -> None:
        if self.when == "before":
            self._clip(discriminator)

    def constrain(self, discriminator: nn.Module) -> None:
        if self.when == "after":
            self._clip(discriminator)

    @torch.no_grad()
    def _clip(self, discriminator: nn.Module) -> None:
        parameters: list[Tensor] = list(discriminator.parameters())
        torch._foreach_clamp_min_(parameters, -self.bound)
        torch._foreach_clamp_max_(parameters, self.bound)
