"""How a mixture of perturbations reaches the generator: drawn for each sample or batch, or as its expectation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from sparring.core.pieces import Piece, piece
from sparring.core.randomness import Rng
from sparring.core.shapes import Scores
from sparring.feedback.perturbations import Perturbation

Mixture = Sequence[tuple[float, Perturbation]]


class Delivery(Piece, family="delivery"):
    """Turns a mixture and a payoff into G's payoff per sample."""

    @abstractmethod
    def deliver(self, mixture: Mixture, payoff: Callable[[Scores], Scores], score: Scores, *, rng: Rng) -> Scores:
        """G's payoff per sample, `(*batch)`."""


class Drawn(Delivery):
    """One perturbation is drawn and applied: payoff(Phi(score))."""

    @abstractmethod
    def draws(self, score: Scores, *, rng: Rng) -> Tensor:
        """Uniform numbers in [0, 1) that broadcast against the score."""

    def deliver(self, mixture: Mixture, payoff: Callable[[Scores], Scores], score: Scores, *, rng: Rng) -> Scores:
        draw = self.draws(score, rng=rng)
        threshold, first = mixture[0]
        delivered = first.score(score)
        for share, psi in mixture[1:]:
            delivered = torch.where(draw < threshold, delivered, psi.score(score))
            threshold = threshold + share
        return payoff(delivered)


@piece("per_sample")
class PerSample(Drawn):
    """A perturbation is drawn for every sample."""

    def draws(self, score: Scores, *, rng: Rng) -> Tensor:
        return rng.uniform(score.shape).to(score.device)


@piece("per_batch")
class PerBatch(Drawn):
    """One perturbation is drawn for the whole batch of a game."""

    def draws(self, score: Scores, *, rng: Rng) -> Tensor:
        return rng.uniform((*score.shape[:-1], 1)).to(score.device)


@piece("expected")
class Expected(Delivery):
    """No draw: the exact expectation of the payoff, sum_i p_i payoff(psi_i(score)) (equation 3.4)."""

    def deliver(self, mixture: Mixture, payoff: Callable[[Scores], Scores], score: Scores, *, rng: Rng) -> Scores:
        return sum((share * payoff(psi.score(score)) for share, psi in mixture), torch.zeros_like(score))
