"""A classifier under any attack: its accuracy, and how well an estimated gradient agrees with its own.

Source: course notes, sections 2.2 and 2.3, problem 4.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from sparring.attacks import Attack, CrossEntropy, GradientEstimator, Threat
from sparring.claims.measures.base import Measure
from sparring.claims.measures.opened_target import opened_target
from sparring.claims.values import PlayedGame, Value
from sparring.core.modules import full_precision, input_gradient
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.robustness.trials import Trials


@piece("accuracy_under")
class AccuracyUnder(Measure):
    """The share of held-out samples that stay classified correctly, clean and under every try of an attack.

    Args:
        attack: one try; `none` for clean samples.
        restarts: tries.
        samples: at most.
    """

    attack: Attack
    restarts: Count = 1
    samples: Count = 1000

    def of(self, game: PlayedGame) -> Value:
        threat = Threat(name=self.attack.name, kind="other", attack=self.attack, restarts=self.restarts)
        with full_precision():
            return float(Trials(opened_target(game, self.samples), seed=0).of(threat).correct.double().mean())

    def protocol(self, game: PlayedGame) -> str:
        described = self.attack.describe(opened_target(game, 1).space)
        return f"{described}, tries: {self.restarts}; at most {self.samples:,} held-out samples"


@piece("gradient_agreement")
class GradientAgreement(Measure):
    """The mean cosine of an estimated gradient of the cross-entropy and the true one, over held-out samples.

    Args:
        source: the estimator.
        samples: at most.
    """

    source: GradientEstimator
    samples: Count = 100

    def of(self, game: PlayedGame) -> Value:
        target = opened_target(game, self.samples)
        x = target.samples[:]

        def loss(samples: torch.Tensor) -> torch.Tensor:
            return CrossEntropy().loss(target.logits(samples), target.labels)

        estimate = self.source.estimate(x, loss, space=target.space, rng=Rng.of(0))
        own = input_gradient(loss, x).gradient
        return float(F.cosine_similarity(estimate.flatten(1), own.flatten(1), dim=1).mean())


@piece("training_seconds")
class TrainingSeconds(Measure):
    """Seconds of the training, divided by the games that were packed into it."""

    def of(self, game: PlayedGame) -> Value:
        seconds = game.trained.seconds
        return None if seconds is None else seconds / game.trained.recipe.replicas
