"""DAT: one update on clean and adversarial samples together.

    lambda_1 V(theta, x_r, x_f) + lambda_2 V(theta, x_r + delta_r, x_f + delta_f)

The aim is that of equations (9) and (10), where g_1 belongs to the real samples; algorithm 1 prints them swapped.

Source: Direct Adversarial Training for GANs, equation (8) and algorithm 1.
"""

from __future__ import annotations

from typing import Literal

from sparring.attacks import Aim, Direct, Distance, TrainingAttack
from sparring.core.pieces import piece
from sparring.core.records import Positive
from sparring.core.shapes import Samples
from sparring.regimes.adversarial import CleanFirst
from sparring.regimes.base import DiscriminatorUpdate, View


@piece("mixed")
class Mixed(CleanFirst):
    """One update on the weighted sum of clean and adversarial payoffs: DAT.

    Args:
        clean_weight: lambda_1; for none at all there is the regime `replace`.
        adversarial_weight: lambda_2; for none at all there is the regime `plain`. The paper states neither; halves keep
            a penalty's share of the loss.
    """

    attack: TrainingAttack = Direct()
    aim: Aim = Distance()
    attacked: Literal["real", "fake", "both"] = "both"
    clean_weight: Positive = 0.5
    adversarial_weight: Positive = 0.5

    def update(self, d: DiscriminatorUpdate, real: Samples, fake: Samples) -> None:
        clean = View(real, fake, self.clean_weight)
        d.show(self.craft(d, clean, self.show_clean(d, clean), self.adversarial_weight))
        d.step()
