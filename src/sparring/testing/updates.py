"""D's update: regimes, Lipschitz controls, optimizers and schedules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Bounds, Space, over_samples
from sparring.lipschitz import Lipschitz
from sparring.networks import MLPDiscriminator
from sparring.optimizers import Optimizer, Schedule
from sparring.regimes import ORIGINS, Origin, Regime, Response, View


class _ToyUpdate:
    """D's update in a toy game: a linear score of points in the unit square."""

    def __init__(self) -> None:
        self.round, self.space, self.couples_samples = 3, Space((2,), Bounds(0.0, 1.0)), False
        self.network = nn.Linear(2, 1)
        with torch.no_grad():
            self.network.weight.copy_(torch.tensor([[1.0, -2.0]]))
        self.steps: list[list[View]] = [[]]

    def show(self, view: View, gradients: Sequence[Origin] = ()) -> Mapping[Origin, Response]:
        self.steps[-1].append(view)
        return {origin: self._response(origin, view, gradients) for origin in ORIGINS}

    def step(self) -> None:
        self.steps.append([])

    def payoff(self, origin: Origin, samples: Tensor, *, labels_of: Origin | None = None) -> Tensor:
        score = self.network(samples).squeeze(-1)
        payoff: Tensor = score if origin == "real" else -score
        return payoff

    def rng(self, name: str) -> Rng:
        return Streams(0).rng(name)

    def mean(self, values: Tensor) -> Tensor:
        assert not values.requires_grad, "a mean over processes has no graph"
        return over_samples(values)

    def record(self, numbers: Mapping[str, Tensor]) -> None:
        assert all(values.shape == (4,) for values in numbers.values()), "numbers are logged per sample"

    def _response(self, origin: Origin, view: View, gradients: Sequence[Origin]) -> Response:
        own, other = (view.real, view.fake) if origin == "real" else (view.fake, view.real)
        leaf = own.detach().requires_grad_()
        payoff = self.payoff(origin, leaf)
        (gradient,) = torch.autograd.grad(payoff.sum(), leaf)
        mean = self.payoff(origin, other).detach().mean()
        return Response(payoff.detach(), lambda: mean, gradient if origin in gradients else None)


def check_regime(regime: Regime) -> None:
    update, real, fake = _ToyUpdate(), Rng.of(1).uniform((4, 2)), Rng.of(2).uniform((4, 2))
    before = real.clone(), fake.clone()
    regime.update(update, real, fake)
    *steps, rest = update.steps
    assert steps and all(steps) and not rest, "every view is followed by a step of D"
    assert torch.equal(real, before[0]) and torch.equal(fake, before[1]), "the batches are not changed"
    for view in (view for step in steps for view in step):
        assert view.real.shape == real.shape and view.fake.shape == fake.shape, "views keep their shape"
        assert torch.equal(view.real, real) or "real" in view.attacked, "attacked samples are declared"
        assert min(view.real.min(), view.fake.min()) >= 0 and max(view.real.max(), view.fake.max()) <= 1, "range"
        assert torch.equal(view.fake, fake) or "fake" in view.attacked, "attacked samples are declared"
    assert all(parameter.grad is None for parameter in update.network.parameters()), "a regime leaves `grad` alone"


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
    for _ in range(100):
        control.constrain(network)
    assert all(torch.equal(a, b) for a, b in zip(once, network.parameters(), strict=True)), "constraining is idempotent"
    settled = score(real)
    control.constrain(network)
    assert torch.allclose(settled, score(real), rtol=1e-5, atol=1e-6), "repeated constraints converge"


def check_optimizer(optimizer: Optimizer) -> None:
    weights = nn.Parameter(torch.ones(3))
    built = optimizer.build([weights])
    optimizer.set_rate(built, 0.0)
    weights.grad = torch.ones(3)
    built.step()
    assert (weights < 1).all(), "a step goes against the gradient"


def check_schedule(schedule: Schedule) -> None:
    factors = [schedule.factor(step / 100) for step in range(100)]
    assert all(math.isfinite(factor) and factor >= 0 for factor in factors), "rates stay finite and non-negative"
