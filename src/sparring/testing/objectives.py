"""Objectives and class losses: payoffs that are elementwise, finite, in fp32, and of the right sign."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sparring.core.randomness import Rng
from sparring.objectives import ClassLoss, Objective

_WIDE = torch.linspace(-300.0, 300.0, 1201)


def check_objective(objective: Objective) -> None:
    for payoff, sign in ((objective.real, 1), (objective.fake, -1), (objective.generator, 1)):
        check_elementwise(payoff)
        slopes = payoff(torch.linspace(0, 1, 101, dtype=torch.float64)).diff() * sign
        assert (slopes >= 0).all(), "D's payoff rises with correct scores, and G's with the score of fakes"
        assert payoff(_WIDE.half() / 10).dtype == torch.float32, "payoffs are computed in fp32"


def check_elementwise(function: Callable[[Tensor], Tensor]) -> None:
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


CONTRACTS = {Objective: check_objective, ClassLoss: check_class_loss}
