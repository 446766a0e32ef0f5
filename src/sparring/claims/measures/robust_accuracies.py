"""Accuracy of a classifier, or of the class head of D, under PGD: at one size, and over sizes.

    accuracy(epsilon) = share of samples that are classified correctly, clean and under every start of the attack
    gap(epsilon) = accuracy on training samples - accuracy on held-out samples

Source: Rob-GAN, section 4.1, table 1, figures 2 (left) and 6.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from sparring.attacks import Attack, Threat, pgd_within
from sparring.claims.measures.base import Measure
from sparring.claims.measures.opened_target import opened_target
from sparring.claims.values import PlayedGame, SampledCurve, Value
from sparring.core.balls import Ball, Linf
from sparring.core.errors import UsageError
from sparring.core.modules import full_precision
from sparring.core.pieces import piece
from sparring.core.records import Count, NonNegative
from sparring.robustness.targets import Target
from sparring.robustness.trials import Trials

Unit = Literal["training", "[0, 1]", "[-1, 1]"]
"""The scale of an epsilon: multiples of the epsilon that the network was trained against, or a range of images."""
Split = Literal["test", "train", "gap"]


def epsilon_of(size: float, unit: Unit, trained: Attack | None) -> float:
    """A size in units of [0, 1].

    Raises:
        UsageError: multiples of the training epsilon are meant, and there was no attack.
    """
    if unit != "training":
        return size / 2 if unit == "[-1, 1]" else size
    if trained is None:
        raise UsageError("the network was trained against no attack, so its epsilon has no multiples", "set `unit`")
    return size * trained.epsilon


def survivors(target: Target, epsilon: float, *, steps: int, restarts: int) -> Tensor:
    """Which samples PGD leaves correctly classified, `(n)`.

    Args:
        target: classifier and samples.
        epsilon: in units of [0, 1]; 0 leaves samples clean.
        steps: of PGD.
        restarts: random starts.
    """
    if epsilon == 0:
        return target.correct(target.samples)
    ball: Ball = target.trained_against.ball if target.trained_against else Linf()
    attack = pgd_within(ball, epsilon, steps=steps)
    threat = Threat(name=f"PGD-{steps} x {restarts}", kind="white-box", attack=attack, restarts=restarts)
    with full_precision():
        return Trials(target, seed=0).of(threat).correct


class UnderAttack(Measure, ABC):
    """A measure of a classifier under PGD from random starts, in the norm of its training.

    Args:
        unit: the scale of every epsilon.
        split: held-out samples, training samples, or the accuracy on training samples less that on held-out ones.
        steps: of PGD.
        restarts: random starts; a sample counts as correct if all fail.
        samples: of each kind, at most.
    """

    unit: Unit = "training"
    split: Split = "test"
    steps: Count = 20
    restarts: Count = 2
    samples: Count = 1000

    def accuracies(self, game: PlayedGame) -> Callable[[float], float]:
        """The accuracy, or the gap, as a function of epsilon in `unit`."""
        test = opened_target(game, self.samples)

        def on(target: Target | None, size: float) -> float:
            if target is None:
                raise UsageError(
                    f"{game.trained.name}: has no held-out samples to compare training samples with",
                    "prepare its data with a held-out part, or use split: test",
                )
            epsilon = epsilon_of(size, self.unit, test.trained_against)
            kept = survivors(target, epsilon, steps=self.steps, restarts=self.restarts)
            return float(kept.double().mean())

        train = test.on_training_samples()
        return {
            "test": lambda size: on(test, size),
            "train": lambda size: on(train, size),
            "gap": lambda size: on(train, size) - on(test, size),
        }[self.split]

    def protocol(self, game: PlayedGame) -> str:
        kinds = {"test": "held-out", "train": "training", "gap": "training and as many held-out"}
        scale = "times the epsilon of the training" if self.unit == "training" else f"of {self.unit}"
        return (
            f"PGD-{self.steps} on the cross-entropy, {self.restarts} random starts, epsilon {scale}; "
            f"at most {self.samples:,} {kinds[self.split]} samples"
        )


@piece("robust_accuracy")
class RobustAccuracy(UnderAttack):
    """Accuracy at one epsilon; clean accuracy at 0.

    Args:
        epsilon: in `unit`.
    """

    epsilon: NonNegative

    def of(self, game: PlayedGame) -> Value:
        return self.accuracies(game)(self.epsilon)


@piece("accuracy_over_epsilon")
class AccuracyOverEpsilon(UnderAttack):
    """Accuracy over epsilons: x are the epsilons in `unit`.

    Args:
        epsilons: in `unit`.
    """

    epsilons: Annotated[tuple[NonNegative, ...], Field(strict=False, min_length=1)]

    def of(self, game: PlayedGame) -> Value:
        accuracy = self.accuracies(game)
        return SampledCurve(x=self.epsilons, y=tuple(float(f"{accuracy(each):.5g}") for each in self.epsilons))
