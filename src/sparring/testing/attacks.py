"""Attacks and their parts: balls, starts, gradient estimators, directions, aims and criteria."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparring.attacks import Aim, Attack, Criterion, Direction, GradientEstimator, Start, WhiteBox
from sparring.core.balls import Ball, Linf
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import Bounds, Space


def check_attack(attack: Attack) -> None:
    """The contract of an attack: budget, range, its own random stream, and a network that stays as it was."""
    space = Space((3, 4), Bounds(-1.0, 1.0))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(-2), nn.BatchNorm1d(12), nn.Dropout(0.5), nn.Linear(12, 1))
    x = Rng.of(1).uniform((6, 3, 4), -1.2, 1.0)  # slightly outside of the range, as dequantised images
    state, modes = [t.clone() for t in network.state_dict().values()], [m.training for m in network.modules()]
    generator = torch.random.get_rng_state()

    def loss(samples: Tensor) -> Tensor:
        scores: Tensor = network(samples).squeeze(-1)
        return scores

    found, again = (attack(x, loss, network=network, space=space, rng=Rng.of(5)) for _ in range(2))
    assert found.shape == x.shape and not found.requires_grad, "samples keep their shape and carry no graph"
    assert torch.equal(found, again), "an attack is a function of its stream"
    assert (attack.ball.size(found - x, 1) <= attack.epsilon * 2 + 1e-6).all() or not attack.ball.limited, "budget"
    assert (found >= x.clamp(max=-1)).all() and (found <= x.clamp(min=1)).all(), "range"
    assert all(map(torch.equal, state, network.state_dict().values())), "parameters and buffers stay as they are"
    assert modes == [m.training for m in network.modules()], "modes stay as they are"
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())
    assert torch.equal(generator, torch.random.get_rng_state()), "torch's random state stays as it is"
    weight = Rng.of(3).normal((3, 4))
    inside = 0.5 * x.abs()  # where the loss below is negative, as attacks that seek its zero require

    def darker(samples: Tensor) -> Tensor:
        return -(samples * weight.abs()).sum((-2, -1))

    moved = attack.perturb(inside, darker, network=nn.Module(), space=space, rng=Rng.of(5))
    assert attack.epsilon == 0 or (darker(moved) > darker(inside)).all(), "an attack with a budget raises its loss"
    unmoved = attack.scaled(0.0)(x, loss, network=network, space=space, rng=Rng.of(5))
    assert torch.equal(unmoved, x), "without a budget the samples stay as they are"
    if attack.can_reuse():
        weight = nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4))
        weights = nn.ParameterList([weight])
        called = attack(
            x, lambda samples: (samples * weight).sum((-2, -1)), network=weights, space=space, rng=Rng.of(5)
        )
        reused = attack.from_gradient(x, weight.detach().expand(6, 3, 4), space=space, rng=Rng.of(5))
        assert torch.allclose(called, reused, atol=1e-6), "a known gradient gives the same samples"


def check_ball(ball: Ball) -> None:
    """The contract of a ball: projections and draws lie in it."""
    delta = Rng.of(0).normal((2, 5, 3, 4))
    assert ball.size(delta, 2).shape == (2, 5), "a size per sample"
    inside = ball.project(delta, 0.5, 2)
    assert torch.allclose(ball.project(inside, 0.5, 2), inside, atol=1e-7), "projecting is idempotent"
    if not ball.limited:
        return
    assert (ball.size(inside, 2) <= 0.5 + 1e-6).all(), "a projection lies in the ball"
    assert torch.equal(ball.project(0.01 * delta, 0.5, 2), 0.01 * delta), "a point in the ball stays"
    drawn = ball.draw(delta, 0.5, 2, rng=Streams(0, 2).rng("start"))
    assert (ball.size(drawn, 2) <= 0.5 + 1e-6).all() and (ball.size(drawn, 2) > 0).all(), "a draw lies in the ball"


def check_start(start: Start) -> None:
    """The contract of a start: it lies in the ball."""
    x = Rng.of(0).normal((5, 3))
    assert (Linf().size(start.draw(x, Linf(), 0.5, 1, rng=Rng.of(1)), 1) <= 0.5).all(), "a start lies in the ball"


def check_estimator(estimator: GradientEstimator) -> None:
    """The contract of a gradient estimator: a direction per sample that ascends."""
    space, weight = Space((2, 3), Bounds(-1.0, 1.0)), torch.linspace(-1, 2, 6).reshape(2, 3)
    x = Rng.of(0).normal((3, 64, 2, 3))
    rise = 1.0 + torch.arange(64)

    def loss(samples: Tensor) -> Tensor:
        return rise * (weight * samples).sum((-2, -1))

    def constant(samples: Tensor) -> Tensor:
        return 0 * loss(samples) + 1

    found = estimator.estimate(x, loss, space=space, rng=Streams(7, 3).rng("estimator"))
    assert found.shape == x.shape and not found.requires_grad, "a direction per sample, without a graph"
    again = estimator.estimate(x[1], loss, space=space, rng=Streams(8).rng("estimator"))
    assert torch.allclose(found[1], again, atol=1e-4), "a replica has the direction of a single game"
    flat = estimator.estimate(x, constant, space=space, rng=Streams(7, 3).rng("estimator"))
    assert (flat.abs() < 1e-4).all(), "no gradient, no direction"
    if isinstance(estimator, WhiteBox):
        gradient = rise[:, None, None] * weight
        followed = estimator.follow(gradient.expand(3, 64, 2, 3), 2, rng=Streams(7, 3).rng("estimator"))
        assert torch.allclose(followed, found, rtol=1e-4), "a known gradient gives the same direction"
        sizes = followed.flatten(2).norm(dim=2), gradient.flatten(1).norm(dim=1).expand(3, 64)
        assert torch.allclose(*sizes, rtol=1e-4), "a gradient's size is kept"
    else:
        blind = estimator.estimate(x, lambda s: loss(s).detach(), space=space, rng=Streams(7, 3).rng("estimator"))
        assert torch.equal(blind, found), "a black-box estimator uses values alone"
        mean = (found / rise[:, None, None]).mean((0, 1))
        assert (mean * weight).sum() > 0.5 * (weight * weight).sum(), "an estimate ascends"


def check_direction(direction: Direction) -> None:
    """The contract of a direction: a step ascends, and is zero without a gradient."""
    gradient = torch.cat([Rng.of(0).normal((4, 3)), torch.zeros(1, 3)])
    step = direction.step(gradient, 0.25, 2.0, 1)
    assert ((step * gradient).sum(1)[:4] > 0).all(), "a step ascends"
    assert (step[4] == 0).all(), "no gradient, no step"


def check_aim(aim: Aim) -> None:
    """The contract of an aim: one finite slope and one loss a sample."""
    payoff = Rng.of(0).normal((3, 7))
    mean = torch.zeros(3)
    slope = aim.slope(payoff, lambda: mean)
    assert slope.shape == payoff.shape and slope.isfinite().all(), "one finite slope a sample"
    assert aim.loss(payoff, lambda: mean).shape == payoff.shape, "one loss a sample"
    assert not aim.constant_slope or (slope == slope[0, 0]).all(), "a slope declared constant is constant"


def check_criterion(criterion: Criterion) -> None:
    """The contract of a criterion: finite in fp32, and it falls with the logit of the label."""
    for classes in (2, 3, 10):
        logits = (20 * Rng.of(classes).normal((16, classes))).requires_grad_()
        labels = logits.argmax(-1)
        loss = criterion.loss(logits, labels)
        (slope,) = torch.autograd.grad(loss.sum(), logits)
        assert loss.shape == labels.shape, "one loss a sample"
        assert slope.isfinite().all() and (slope != 0).any(-1).all(), "logits of a correct sample have a slope"
        assert (slope.gather(1, labels[:, None]) <= 1e-6).all(), "the loss falls with the logit of the label"
        for hard in (300 * logits.detach(), 0 * logits.detach(), logits.detach().half()):
            value = criterion.loss(hard, labels)
            assert value.isfinite().all() and value.dtype == torch.float32, "finite and fp32 for every logits"
        if criterion.targeted:
            targets = (labels + 1) % classes
            (slope,) = torch.autograd.grad(criterion.toward(logits, labels, targets).sum(), logits)
            assert (slope.gather(1, targets[:, None]) >= 0).all(), "the loss rises with the logit of the target"
