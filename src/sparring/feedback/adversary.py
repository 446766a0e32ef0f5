"""The adversaries of definition 2: any finite mixture of perturbations, honest otherwise."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Annotated

from pydantic import Field, field_validator

from sparring.core.pieces import piece
from sparring.core.randomness import RandomSource, Rng
from sparring.core.records import Probability, Record
from sparring.core.shapes import Scores, at_least_fp32
from sparring.feedback.base import Feedback
from sparring.feedback.deliveries import Delivery, PerSample
from sparring.feedback.perturbations import Flip, Honest, Perturbation


@piece("honest")
class HonestFeedback(Feedback):
    """No adversary: the score is delivered unchanged."""

    def distribution(self) -> tuple[tuple[float, Perturbation], ...]:
        return ((1.0, Honest()),)

    def transmit(self, payoff: Callable[[Scores], Scores], score: Scores, *, rng: RandomSource) -> Scores:
        return payoff(score)


class Adversary(Feedback):
    """Perturbations with probabilities; honest with the remaining probability."""

    delivery: Delivery = PerSample()

    @abstractmethod
    def lies(self) -> tuple[tuple[float, Perturbation], ...]:
        """The perturbations with their probabilities; honest with the remaining probability."""

    def distribution(self) -> tuple[tuple[float, Perturbation], ...]:
        return self._mixture

    def transmit(self, payoff: Callable[[Scores], Scores], score: Scores, *, rng: RandomSource) -> Scores:
        # In half precision a root would lose its digits.
        stream = Rng.of(rng, score.device)
        return self.delivery.deliver(self._mixture, payoff, at_least_fp32(score), rng=stream)

    @cached_property
    def _mixture(self) -> tuple[tuple[float, Perturbation], ...]:
        lies = self.lies()
        honest = max(0.0, 1.0 - sum(share for share, _ in lies))  # shares may round to more than 1
        return ((honest, Honest()), *lies)


@piece("flip")
class Flipping(Adversary):
    """D's output is flipped to 1 - D(x) with the given probability (equation 2.2).

    Example:
        In exact expectation the payoff s of a score s is heard as (1 - 2 probability) s:

        >>> import torch
        >>> from sparring.feedback import Expected
        >>> adversary = Flipping(probability=0.25, delivery=Expected())
        >>> adversary.transmit(lambda score: score, torch.tensor([-4.0, 2.0]), rng=0)
        tensor([-2.,  1.])
    """

    probability: Probability

    def lies(self) -> tuple[tuple[float, Perturbation], ...]:
        return ((self.probability, Flip()),)


class Lie(Record):
    """One component of a mixture."""

    perturbation: Perturbation
    probability: Probability


@piece("mixture")
class MixtureAdversary(Adversary):
    """Any finite mixture of perturbations, honest otherwise (definition 2)."""

    perturbations: Annotated[tuple[Lie, ...], Field(strict=False, min_length=1)]

    @field_validator("perturbations")
    @classmethod
    def _a_distribution(cls, value: tuple[Lie, ...]) -> tuple[Lie, ...]:
        total = sum(lie.probability for lie in value)
        if total > 1 + 1e-9:
            raise ValueError(f"probabilities should sum to at most 1, these sum to {total:g}")
        return value

    def lies(self) -> tuple[tuple[float, Perturbation], ...]:
        return tuple((lie.probability, lie.perturbation) for lie in self.perturbations)
