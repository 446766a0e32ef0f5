"""Vitals of a classifier in training: which classes it predicts for held-out samples."""

from __future__ import annotations

import torch

from sparring.classifier.state import Pupil
from sparring.core.modules import untraced
from sparring.core.randomness import Rng
from sparring.monitoring.vitals import Numbers, effective_number, noted

SAMPLES = 256
"""Held-out samples of a check, at most."""


class ClassifierVitals:
    """What a classifier in training is checked with.

    Args:
        pupil: the classifier.
    """

    def __init__(self, pupil: Pupil) -> None:
        self.pupil = pupil
        self._shown = pupil.source.held_out(SAMPLES, rng=Rng.of(0, pupil.device)).samples

    @torch.no_grad()
    def measure(self) -> Numbers:
        """The numbers of `VITALS` that apply."""
        with untraced(self.pupil.network):
            logits = self.pupil.classify(self._shown)
        return noted({"vital_predicted": effective_number(logits.argmax(-1), logits.shape[-1])})
