"""Perturbations, feedback and deliveries: distributions of lies, drawn from one stream."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sparring.core.randomness import Rng
from sparring.feedback import Delivery, Feedback, Flip, Honest, Perturbation
from sparring.testing.objectives import check_elementwise


def check_perturbation(psi: Perturbation) -> None:
    check_elementwise(psi.score)
    theta = torch.linspace(0, 1, 101, dtype=torch.float64)
    moved = psi.probability(theta)
    assert ((moved >= 0) & (moved <= 1)).all(), "psi maps [0, 1] into [0, 1]"
    score = torch.linspace(-12, 12, 101, dtype=torch.float64)
    expected = psi.probability(torch.sigmoid(score))
    assert torch.allclose(torch.sigmoid(psi.score(score)), expected, atol=1e-7), "`score` and `probability` agree"


def check_feedback(feedback: Feedback) -> None:
    shares = [share for share, _ in feedback.distribution()]
    assert abs(sum(shares) - 1) < 1e-9 and min(shares) >= 0, "the probabilities are a distribution"
    assert 0 <= feedback.honest_probability <= 1
    score = torch.linspace(-3, 3, 64)
    payoffs = [feedback.transmit(torch.tanh, score, rng=Rng.of(seed)) for seed in (1, 1)]
    assert payoffs[0].shape == score.shape, "one payoff a sample"
    assert torch.equal(*payoffs), "lies are a function of the stream"


def check_delivery(delivery: Delivery) -> None:
    score = torch.linspace(-3, 3, 7)
    mixture: Sequence[tuple[float, Perturbation]] = ((1.0, Honest()), (0.0, Flip()))
    payoff = delivery.deliver(mixture, torch.tanh, score, rng=Rng.of(0))
    assert torch.allclose(payoff, torch.tanh(score)), "an honest mixture leaves the payoff as it is"
    mixture = ((0.0, Honest()), (1.0, Flip()))
    payoff = delivery.deliver(mixture, torch.tanh, score, rng=Rng.of(0))
    assert torch.allclose(payoff, torch.tanh(-score)), "a perturbation of probability 1 is applied"


CONTRACTS = {Perturbation: check_perturbation, Feedback: check_feedback, Delivery: check_delivery}
