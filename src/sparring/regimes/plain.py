"""The plain regime: one step on clean samples, as in every GAN."""

from __future__ import annotations

from sparring.core.pieces import piece
from sparring.core.shapes import Samples
from sparring.regimes.base import DiscriminatorUpdate, Regime, View


@piece("plain")
class Plain(Regime):
    """One optimizer step on the clean real and generated samples."""

    def update(self, d: DiscriminatorUpdate, real: Samples, fake: Samples) -> None:
        d.show(View(real, fake))
        d.step()
