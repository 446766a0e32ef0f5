"""Lipschitz controls: penalties, constraints that settle, the same for a replica as for a single game."""

from __future__ import annotations

import torch
from torch import Tensor

from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Space
from sparring.lipschitz import Lipschitz
from sparring.networks import (
    MLPDiscriminator,
)

_SETTLED = 100
"""Repeated constraints, after which one more leaves D's scores as they are."""


def check_lipschitz(control: Lipschitz) -> None:
    network = MLPDiscriminator(hidden=(8,)).build(Space((2,), None), (3,), rng=Streams(0, 3).rng("init"))
    control.check(network)
    control.transform(network)
    real, fake = (Rng.of(seed).normal((3, 5, 2)) for seed in (1, 2))

    def score(x: Tensor) -> Tensor:
        scores: Tensor = network(x).score
        return scores

    seen = control.disturb(real, progress=0.5, rng=Streams(0, 3).rng("lipschitz"))
    row = control.disturb(real[1], progress=0.5, rng=Streams(1).rng("lipschitz"))
    assert torch.equal(seen[1], row), "a replica's samples are disturbed as a single game's"
    held = [tensor.detach().clone() for tensor in network.state_dict().values()]
    cost = control.penalty(score, real, fake, batch_axes=2, rng=Streams(0, 3).rng("lipschitz")).expand(3, 5)
    assert (cost >= 0).all() and cost.isfinite().all(), "a penalty is finite and non-negative"
    same = zip(held, network.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in same), "a penalty leaves the network as it is"
    assert all(parameter.grad is None for parameter in network.parameters()), "a penalty leaves `grad` alone"
    single = MLPDiscriminator(hidden=(8,)).build(Space((2,), None), (), rng=Streams(1).rng("init"))
    control.transform(single)
    rng = Streams(1).rng("lipschitz")
    own = control.penalty(lambda x: single(x).score, real[1], fake[1], batch_axes=1, rng=rng).expand(5)
    assert torch.allclose(cost[1], own, rtol=1e-3, atol=1e-4), "a replica has the penalty of a single game"
    control.constrain(network)
    once = [parameter.detach().clone() for parameter in network.parameters()]
    for _ in range(_SETTLED):
        control.constrain(network)
    assert all(torch.equal(a, b) for a, b in zip(once, network.parameters(), strict=True)), "constraining is idempotent"
    settled = score(real)
    control.constrain(network)
    assert torch.allclose(settled, score(real), rtol=1e-5, atol=1e-6), "repeated constraints converge"


CONTRACTS = {Lipschitz: check_lipschitz}
