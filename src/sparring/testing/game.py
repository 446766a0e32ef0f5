"""A round of the game: what D and G are paid, and D's update."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Bounds, Space, over_samples
from sparring.feedback import Delivery, Feedback, Flip, Honest, Perturbation
from sparring.lipschitz import Lipschitz
from sparring.networks import MLPDiscriminator
from sparring.objectives import ClassLoss, Objective
from sparring.optimizers import Optimizer, Schedule
from sparring.regimes import ORIGINS, Origin, Regime, Response, View

_WIDE = torch.linspace(-300.0, 300.0, 1201)


def check_objective(objective: Objective) -> None:
    """The contract of an objective: elementwise, finite, monotone, in fp32."""
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
    """The contract of a class loss: one payoff a sample, best for the likeliest class."""
    source, logits = Rng.of(0).normal((2, 4)), Rng.of(1).normal((2, 4, 3))
    labels = logits.argmax(-1)
    for role in ("real", "fake", "generator"):
        weights = getattr(loss, role)
        payoff = loss.payoff(role, source, logits, labels)
        alone = weights.source * source
        assert payoff.shape == source.shape, "one payoff a sample"
        assert bool((payoff < alone).all()) == bool(weights.classes), "a log-likelihood is negative"
        if weights.classes:
            other = loss.payoff(role, source, logits, (labels + 1) % 3)
            assert (other < payoff).all() or torch.equal(other, payoff), "the likeliest class pays most, or all alike"
    assert loss.needs_logits or torch.equal(loss.payoff("real", source, None, None), loss.real.source * source)


def check_perturbation(psi: Perturbation) -> None:
    """The contract of a perturbation: elementwise, within [0, 1], alike on scores and on probabilities."""
    _check_elementwise(psi.score)
    theta = torch.linspace(0, 1, 101, dtype=torch.float64)
    moved = psi.probability(theta)
    assert ((moved >= 0) & (moved <= 1)).all(), "psi maps [0, 1] into [0, 1]"
    score = torch.linspace(-12, 12, 101, dtype=torch.float64)
    expected = psi.probability(torch.sigmoid(score))
    assert torch.allclose(torch.sigmoid(psi.score(score)), expected, atol=1e-7), "`score` and `probability` agree"


def check_feedback(feedback: Feedback) -> None:
    """The contract of a feedback: a distribution, and lies that are a function of the stream."""
    shares = [share for share, _ in feedback.distribution()]
    assert abs(sum(shares) - 1) < 1e-9 and min(shares) >= 0, "the probabilities are a distribution"
    assert 0 <= feedback.honest_probability <= 1
    score = torch.linspace(-3, 3, 64)
    payoffs = [feedback.transmit(torch.tanh, score, rng=Rng.of(seed)) for seed in (1, 1)]
    assert payoffs[0].shape == score.shape, "one payoff a sample"
    assert torch.equal(*payoffs), "lies are a function of the stream"


def check_delivery(delivery: Delivery) -> None:
    """The contract of a delivery: a perturbation of probability 1 is applied, of 0 not."""
    score = torch.linspace(-3, 3, 7)
    for flips, sign in ((0.0, 1), (1.0, -1)):
        payoff = delivery.deliver(((1 - flips, Honest()), (flips, Flip())), torch.tanh, score, rng=Rng.of(0))
        assert torch.allclose(payoff, torch.tanh(sign * score)), "a perturbation of probability 1 is applied, of 0 not"


class _ToyUpdate:
    """D's update in a toy game: a linear score of points in the unit square."""

    def __init__(self) -> None:
        self.round, self.space, self.couples_samples = 3, Space((2,), Bounds(0.0, 1.0)), False
        self.network = nn.Linear(2, 1)
        with torch.no_grad():
            self.network.weight.copy_(torch.tensor([[1.0, -2.0]]))
        self.steps: list[list[View]] = [[]]
        self.kept: dict[str, Tensor] = {}

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
    """The contract of a regime: a step after every view, attacked samples declared, batches unchanged."""
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
    """The contract of a Lipschitz control: finite penalties, idempotent constraints, replicas as single games."""
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
    """The contract of an optimizer: a step goes against the gradient."""
    weights = nn.Parameter(torch.ones(3))
    built = optimizer.build([weights])
    highest = max((step / 100 for step in range(100)), key=optimizer.schedule.factor)  # a warm-up begins at 0
    optimizer.set_rate(built, highest)
    weights.grad = torch.ones(3)
    built.step()
    assert (weights < 1).all(), "a step goes against the gradient"


def check_schedule(schedule: Schedule) -> None:
    """The contract of a schedule: rates stay finite and non-negative."""
    factors = [schedule.factor(step / 100) for step in range(100)]
    assert all(math.isfinite(factor) and factor >= 0 for factor in factors), "rates stay finite and non-negative"
