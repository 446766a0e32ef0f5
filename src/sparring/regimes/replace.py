"""Adversarial samples in place of clean ones, as in Madry's training and Rob-GAN.

DAT's published code is `{name: replace, attack: direct, aim: distance, attacked: both}`, but for its batch mean.

Source: Madry et al. 2018, equation (2.1); Rob-GAN, algorithm 1.
"""

from __future__ import annotations

from typing import Literal

from sparring.attacks import PGD, TrainingAttack
from sparring.core.pieces import piece
from sparring.core.shapes import Samples
from sparring.regimes.adversarial import AdversarialRegime
from sparring.regimes.base import DiscriminatorUpdate, View


@piece("replace")
class Replace(AdversarialRegime):
    """One update on adversarial samples instead of clean ones."""

    attack: TrainingAttack = PGD()
    attacked: Literal["real", "fake", "both"] = "real"

    def update(self, d: DiscriminatorUpdate, real: Samples, fake: Samples) -> None:
        clean = View(real, fake)
        d.show(self.craft(d, clean, None))
        d.step()
