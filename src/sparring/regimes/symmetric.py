"""AS-GAN: after the clean update a second one, on adversarial samples and the same latents.

    theta'  = theta  + eta grad V(theta, x, z)
    x_hat   = x - epsilon sign(grad_x V(theta, x, z))       from the same backward pass
    theta'' = theta' + eta grad V(theta', x_hat, z)

Source: Adversarial Symmetric GAN, algorithm 1.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from sparring.core.pieces import piece
from sparring.core.shapes import Samples
from sparring.regimes.adversarial import CleanFirst
from sparring.regimes.base import DiscriminatorUpdate, View


@piece("symmetric")
class Symmetric(CleanFirst):
    """A clean update, then an update on samples attacked before it: AS-GAN."""

    steps: ClassVar[int] = 2

    attacked: Literal["real", "fake", "both"] = "real"

    def update(self, d: DiscriminatorUpdate, real: Samples, fake: Samples) -> None:
        clean = View(real, fake)
        adversarial = self.craft(d, clean, self.show_clean(d, clean))
        d.step()
        d.show(adversarial)
        d.step()
