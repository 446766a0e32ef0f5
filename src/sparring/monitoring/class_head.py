"""D's class head as a classifier: what is measured of it, on the same terms as of a classifier trained alone.

Source: Rob-GAN, figures 2 and 6.
"""

from __future__ import annotations

import itertools
from typing import Any

from torch import Tensor

from sparring.attacks import Classify
from sparring.gan.state import GANState
from sparring.monitoring.classifier_metrics import ClassifierMeasures

SAMPLES = 256
"""Held-out samples of a measurement, at most, and as many training ones."""


class ClassHead:
    """The class heads of a game, or of packed ones, measured at every evaluation.

    Args:
        game: whose D has class heads.
    """

    def __init__(self, game: GANState) -> None:
        self.game = game
        trained = game.recipe.regime.trained_against
        self._measures = ClassifierMeasures(trained, game.recipe.seed, game.source, game.device, samples=SAMPLES)

    def measure(self, number: int) -> dict[str, Any]:
        """The numbers of `ClassifierMeasures`; a list with replicas."""
        lead = self.game.recipe.lead
        found = [
            self._measures.measure(self.game.discriminator, self._of(index), number)
            for index in itertools.product(*map(range, lead))
        ]
        return {name: [numbers[name] for numbers in found] for name in found[0]} if lead else dict(found[0])

    def protocols(self) -> dict[str, str]:
        """What every number of `measure` is."""
        return {name: f"class head of D: {protocol}" for name, protocol in self._measures.protocols().items()}

    def _of(self, index: tuple[int, ...]) -> Classify:
        """The class head of one game; packed ones are all run, and the others' logits dropped."""

        def classify(samples: Tensor) -> Tensor:
            classes = self.game.judge(samples.expand(*self.game.recipe.lead, *samples.shape)).classes
            assert classes is not None
            return classes[index]

        return classify
