"""Weight clipping: every parameter of D is held in [-bound, bound].

Source: Arjovsky et al. 2017, algorithm 1; Xu, Li, Jegelka, sections 5.1 and 5.2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparring.core.pieces import piece
from sparring.core.records import Positive
from sparring.lipschitz.base import Lipschitz


@piece("clip")
class Clip(Lipschitz):
    """Clip D's parameters after each of its steps; with spectral norm these are what it divides, not the quotient.

    Args:
        bound: the largest absolute value of a parameter.
    """

    bound: Positive = 0.1

    @torch.no_grad()
    def constrain(self, discriminator: nn.Module) -> None:
        parameters: list[Tensor] = list(discriminator.parameters())
        torch._foreach_clamp_min_(parameters, -self.bound)
        torch._foreach_clamp_max_(parameters, self.bound)
