"""Feedback: the channel from D's score to G, which an adversary may perturb."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from sparring.core.pieces import Piece
from sparring.core.randomness import Rng
from sparring.core.shapes import Scores
from sparring.feedback.perturbations import Perturbation


class Feedback(Piece, family="feedback"):
    """An adversary Phi on the channel: a distribution over finitely many perturbations (definition 2)."""

    @abstractmethod
    def distribution(self) -> tuple[tuple[float, Perturbation], ...]:
        """The perturbations with their probabilities, the honest one included; the probabilities sum to 1."""

    @abstractmethod
    def transmit(self, payoff: Callable[[Scores], Scores], score: Scores, *, rng: Rng) -> Scores:
        """G's payoff per sample, for D's score as the channel delivers it.

        Args:
            payoff: G's payoff as a function of the delivered score.
            score: D's scores on generated samples, `(*batch)`.
            rng: the adversary's own random stream.
        """

    @property
    def honest_probability(self) -> float:
        """The probability of psi(d) = d; Theorems 5 and 6 ask for more than 1/2 (definition 3, mostly honest)."""
        return sum(share for share, psi in self.distribution() if psi.name == "honest")
