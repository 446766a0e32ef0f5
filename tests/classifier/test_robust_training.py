"""Robust training beyond adversarial cross-entropy: whole rounds against their algorithms by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from robust_classifiers import robust_recipe, robust_state
from sparring.classifier.step import train_step
from sparring.core.randomness import Streams
from sparring.core.records import InvalidRecord


def kl(p: Tensor, q: Tensor) -> Tensor:
    """Rounded as the library rounds it: steps along a sign tell slopes of 1e-9 and -1e-9 apart."""
    logs, others = p.log_softmax(-1), q.log_softmax(-1)
    return (logs.exp() * (logs - others)).sum(-1)


def test_a_round_of_trades_is_algorithm_1() -> None:
    """The start at 0.001 N(0, 1), steps up KL(f(x) || f(x')) in eval mode, then the loss on x and x' in training."""
    attack = "attack={name: pgd, epsilon: 0.1, steps: 3, step_size: 0.04, start: {name: gaussian, share: 0.01}}"
    state = robust_state("loss={name: trades, beta: 2}", attack, "seed=5")
    streams, network = Streams(5), state.recipe.classifier.build(state.space, (), rng=Streams(5).rng("init/classifier"))
    for step in range(4):
        x, y = state.source.batch(step, 16, streams)
        train_step(state, step)
        moved = (x + 2 * 0.001 * streams.rng("attack/real", step).normal(x.shape)).clamp(-1, 1)
        network.eval()
        target = network(x).detach()
        for _ in range(3):
            leaf = moved.clone().requires_grad_()
            (slope,) = torch.autograd.grad(kl(target, network(leaf)).sum(), leaf)
            moved = ((moved + 2 * 0.04 * slope.sign() - x).clamp(-0.2, 0.2) + x).clamp(-1, 1)
        network.train()
        clean = network(x)
        losses = F.cross_entropy(clean, y, reduction="none") + 2 * kl(clean, network(moved))  # type: ignore[arg-type]
        losses.mean().backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(parameter.grad, alpha=-0.05)  # type: ignore[arg-type]
                parameter.grad = None
    for name, value in network.state_dict().items():
        assert torch.equal(state.network.state_dict()[name], value), name


def test_trades_refuses_an_attack_that_starts_where_the_divergence_is_flat() -> None:
    with pytest.raises(InvalidRecord, match=r"loss = trades: .* set attack.start=random"):
        robust_recipe("loss=trades")
    with pytest.raises(InvalidRecord, match=r"loss = trades: .* and criterion = margin"):
        robust_recipe("loss=trades", "attack.start=random", "criterion=margin")
    robust_recipe("loss=trades", "attack=none")
