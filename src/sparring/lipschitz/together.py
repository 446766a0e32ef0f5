"""Several controls together, such as spectral normalisation with a gradient penalty."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples
from sparring.lipschitz.base import Lipschitz, ScoreFunction


@piece("together")
class Together(Lipschitz):
    """Several controls: their penalties add up, the rest is applied in order.

    Args:
        controls: in order; they draw from one random stream in this order.
    """

    controls: Annotated[tuple[Lipschitz, ...], Field(strict=False)]

    @property
    def penalizes(self) -> bool:
        return any(control.penalizes for control in self.controls)

    @property
    def needs_second_derivatives(self) -> bool:
        return any(control.needs_second_derivatives for control in self.controls)

    @property
    def disturbs(self) -> bool:
        return any(control.disturbs for control in self.controls)

    def check(self, discriminator: nn.Module) -> None:
        for control in self.controls:
            control.check(discriminator)

    def transform(self, discriminator: nn.Module) -> None:
        for control in self.controls:
            control.transform(discriminator)

    def disturb(self, samples: Samples, *, progress: float, rng: Rng) -> Samples:
        for control in self.controls:
            samples = control.disturb(samples, progress=progress, rng=rng)
        return samples

    def penalty(self, score: ScoreFunction, real: Samples, fake: Samples, *, batch_axes: int, rng: Rng) -> Tensor:
        total = torch.zeros((), device=real.device)
        for control in self.controls:
            total = total + control.penalty(score, real, fake, batch_axes=batch_axes, rng=rng)
        return total

    def prepare(self, discriminator: nn.Module) -> None:
        for control in self.controls:
            control.prepare(discriminator)

    def constrain(self, discriminator: nn.Module) -> None:
        for control in self.controls:
            control.constrain(discriminator)
