"""What flows from D's score to a player: objectives, class losses, perturbations, feedback and deliveries."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sparring.core.randomness import Rng
from sparring.feedback import Delivery, Feedback, Flip, Honest, Perturbation
from sparring.objectives import ClassLoss, Objective

_WIDE = torch.linspace(-300.0, 300.0, 1201)


def check_objective(objective: Objective) -> None:
    for payoff, sign in ((objective.real, 1), (objective.fake, -1), (objective.generator, 1)):
        _check_elementwise(payoff)
        slopes = payoff(torch.linspace(0, 1, 101, dtype=torch.float64)).diff() * sign
        assert (slopes >= 0).all(), "D's payoff rises with correct scores, and G's with the score of fakes"
        assert payoff(_WIDE.half() / 10).dtype == torch.float32, "payoffs are computed in fp32"


def _check_elementwise(function: Callable[[Tensor], Tensor]) -> None:
    score = _WIDE.clone().requires_grad_()
    value = function(score)
    assert value.shape == score.shape, "one value a score"
    assert value.isfinite().all(), "finite over scores in [-300, 300]"
    if value.requires_grad:
        (slope,) = torch.autograd.grad(value.sum(), score)
        assert slope.isfinite().all(), "finite slopes over scores in [-300, 300]"
    stacked = _WIDE[:1200].reshape(3, 400)
    assert torch.equal(function(stacked).flatten(), function(_WIDE[:1200])), "elementwise, for (n) and (replicas, n)"


def check_class_loss(loss: ClassLoss) -> None:
    source, logits = Rng.of(0).normal((2, 4)), Rng.of(1).normal((2, 4, 3))
    labels = logits.argmax(-1)
    for role in ("real", "fake", "generator"):
        weights = getattr(loss, role)
        payoff = loss.payoff(role, source, logits, labels)
        alone = weights.source * source
        assert payoff.shape == source.shape, "one payoff a sample"
        assert bool((payoff < alone).all()) == bool(weights.classes), "a log-likelihood is negative"
        if weights.classes:
            assert (loss.payoff(role, source, logits, (labels + 1) % 3) < payoff).all(), "the likeliest class pays most"
    assert loss.needs_logits or torch.equal(loss.payoff("real", source, None, None), loss.real.source * source)


def check_perturbation(psi: Perturbation) -> None:
    _check_elementwise(psi.score)
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
    for flips, sign in ((0.0, 1), (1.0, -1)):
        payoff = delivery.deliver(((1 - flips, Honest()), (flips, Flip())), torch.tanh, score, rng=Rng.of(0))
        assert torch.allclose(payoff, torch.tanh(sign * score)), "a perturbation of probability 1 is applied, of 0 not"
