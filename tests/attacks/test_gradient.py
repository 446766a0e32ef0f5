"""Attacks: closed forms, geometry, units, and foolbox as an independent oracle."""

from __future__ import annotations

import math

import foolbox
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from sparring.attacks import BIM, FGSM, PGD, Attack, Direct, Distance, GradientAttack, Normalised, Payoff
from sparring.core.balls import L2, Ball, Linf
from sparring.core.randomness import Rng
from sparring.core.shapes import Bounds, Space

IMAGES = Space((3, 4, 4), Bounds(-1.0, 1.0))


def images(count: int = 5, seed: int = 0) -> Tensor:
    """Random images in [-1, 1], fp64."""
    return Rng.of(seed).uniform((count, *IMAGES.shape), -1.0, 1.0).double()


def classifier() -> nn.Module:
    """A small random network with curvature, fp64."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(24, 7)).double().eval()
    for parameter in layers.parameters():
        parameter.data.mul_(3)
    return layers


def run(attack: Attack, x: Tensor, network: nn.Module, labels: Tensor) -> Tensor:
    """Attack a classifier's cross-entropy."""

    def loss(samples: Tensor) -> Tensor:
        return F.cross_entropy(network(samples), labels, reduction="none")

    return attack(x, loss, network=network, space=IMAGES, rng=Rng.of(0))


def on_linear(attack: Attack, x: Tensor, weight: Tensor) -> Tensor:
    """Attack the loss <weight, x>."""
    return attack(x, lambda s: (s * weight).sum((1, 2, 3)), network=nn.Module(), space=IMAGES, rng=Rng.of(0))


def test_one_signed_step_on_a_linear_loss() -> None:
    x, weight = images(), images(1, seed=1)[0]
    found = on_linear(FGSM(epsilon=0.1), x, weight)
    torch.testing.assert_close(found, (x + 0.2 * weight.sign()).clamp(-1, 1), rtol=0, atol=1e-12)


def test_one_normalised_step_on_a_linear_loss() -> None:
    x, weight = 0.1 * images(), images(1, seed=1)[0]
    found = on_linear(GradientAttack(epsilon=0.1, ball=L2(), direction=Normalised()), x, weight)
    torch.testing.assert_close(found, x + 0.2 * weight / weight.norm(), rtol=0, atol=1e-12)


def test_the_direct_step_is_a_multiple_of_the_gradient() -> None:
    x, weight = 0.1 * images(), images(1, seed=1)[0]
    found = on_linear(Direct(epsilon=0.3), x, weight)
    torch.testing.assert_close(found, x + 0.3 * weight, rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 5, 20])
def test_linf_steps_equal_foolbox(steps: int) -> None:
    network, labels, x = classifier(), torch.arange(5), images()
    model = foolbox.PyTorchModel(network, bounds=(-1, 1), device="cpu")
    oracle = foolbox.attacks.LinfBasicIterativeAttack(abs_stepsize=0.06, steps=steps, random_start=False)
    _, theirs, _ = oracle(model, x, labels, epsilons=0.2)
    ours = run(BIM(epsilon=0.1, step_size=0.03, steps=steps), x, network, labels)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)
    assert float((ours - x).abs().max()) > 0.05


@pytest.mark.parametrize("steps", [1, 5, 20])
def test_l2_steps_equal_foolbox(steps: int) -> None:
    network, labels, x = classifier(), torch.arange(5), images()
    model = foolbox.PyTorchModel(network, bounds=(-1, 1), device="cpu")
    oracle = foolbox.attacks.L2PGD(abs_stepsize=0.3, steps=steps, random_start=False)
    _, theirs, _ = oracle(model, x, labels, epsilons=1.0)
    attack = GradientAttack(epsilon=0.5, step_size=0.15, steps=steps, ball=L2(), direction=Normalised())
    torch.testing.assert_close(run(attack, x, network, labels), theirs, rtol=0, atol=1e-12)


def test_a_sample_outside_of_the_range_is_pushed_no_farther() -> None:
    x = torch.full((1, *IMAGES.shape), 1.01)
    up, down = (on_linear(FGSM(epsilon=0.1), x, torch.full(IMAGES.shape, sign)) for sign in (1.0, -1.0))
    assert torch.equal(up, x)
    torch.testing.assert_close(down, x - 0.2)


def test_a_pair_is_a_range() -> None:
    space, x = Space((3,), (0.0, 1.0)), torch.full((2, 3), 0.5)
    moved = FGSM(epsilon=0.25)(x, lambda samples: samples.sum(-1), network=nn.Identity(), space=space, rng=Rng.of(0))
    torch.testing.assert_close(moved, torch.full((2, 3), 0.75))


def test_a_random_direction_keeps_the_size_and_forgets_the_way() -> None:
    x, weight = torch.zeros(400, 3, 4, 4), images(1, seed=1)[0].float()
    attack = Direct.model_validate({"name": "direct", "epsilon": 0.3, "source": "random_direction"})
    moved = on_linear(attack, x, weight)
    sizes = moved.flatten(1).norm(dim=1)
    torch.testing.assert_close(sizes, torch.full_like(sizes, 0.3 * float(weight.norm())), rtol=1e-4, atol=0)
    cosine = F.cosine_similarity(moved.flatten(1), weight.flatten().expand(400, -1))
    assert abs(float(cosine.mean())) < 4 / math.sqrt(400 * 48)


@pytest.mark.parametrize("ball", [Linf(), L2()], ids=["linf", "l2"])
def test_draws_are_uniform_in_the_ball(ball: Ball) -> None:
    drawn = ball.draw(torch.zeros(20_000, 3), 2.0, 1, rng=Rng.of(0))
    share = float((ball.size(drawn, 1) <= 1.0).double().mean())
    assert share == pytest.approx(1 / 8, abs=4 * math.sqrt(7 / 64 / 20_000))  # half the radius, an eighth of the volume
    assert float(drawn.mean(0).abs().max()) < 0.05


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), radius=st.floats(0.0, 3.0), ball=st.sampled_from([Linf(), L2()]))
def test_a_projection_is_the_nearest_point_of_the_ball(seed: int, radius: float, ball: Ball) -> None:
    delta = Rng.of(seed).normal((1, 6)).double()
    nearest = ball.project(delta, radius, 1)
    assert float(ball.size(nearest, 1)) <= radius + 1e-12
    others = ball.draw(delta.expand(64, 6), radius, 1, rng=Rng.of(seed + 1))
    assert float((delta - nearest).norm()) <= float((delta - others).norm(dim=1).min()) + 1e-9


@pytest.mark.parametrize(("written", "meant"), [("8/255", 8 / 255), (" 1 / 255", 1 / 255), (0.1, 0.1), ("0.5", 0.5)])
def test_epsilon_may_be_written_as_a_fraction(written: object, meant: float) -> None:
    assert FGSM.model_validate({"epsilon": written}).epsilon == meant


@pytest.mark.parametrize("wrong", ["8/0", "eight", -0.1, "-1/255", None])
def test_an_epsilon_that_is_no_size_is_refused(wrong: object) -> None:
    with pytest.raises(ValidationError):
        FGSM.model_validate({"epsilon": wrong})


def test_an_attack_that_cannot_reach_its_budget_says_so() -> None:
    assert "never" in BIM(epsilon=0.0625, step_size=0.0078, steps=5).remarks()[0]
    assert not BIM(epsilon=0.03125, step_size=0.0078, steps=5).remarks()
    assert not BIM().remarks()
    assert not FGSM().remarks()
    (remark,) = FGSM(epsilon=8).remarks()
    assert "8/255" in remark
    assert not Direct(epsilon=8).remarks()


def test_a_scaled_attack_takes_shorter_steps_too() -> None:
    half = BIM(epsilon=0.2, step_size=0.04).scaled(0.5)
    assert (half.epsilon, half.step_length) == (0.1, 0.02)
    assert Direct(epsilon=2.0, step_size=1.0).scaled(0.25).step_length == 0.25
    assert PGD(epsilon=0.2).scaled(0.5).step_length == pytest.approx(PGD(epsilon=0.1).step_length)


class _Counter(nn.Module):
    """A buffer that every forward pass replaces."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1
        return x.sum((1, 2, 3))


def test_a_buffer_that_is_replaced_is_put_back() -> None:
    network = _Counter()
    before = network.calls
    FGSM()(images(), network, network=network, space=IMAGES, rng=Rng.of(0))
    assert network.calls is before
    assert network.calls == 0


def test_aims_are_the_papers_formulas() -> None:
    payoff, mean = torch.tensor([-2.0, 0.5, 1.0, 3.0]), torch.tensor(1.0)
    assert torch.equal(Payoff().loss(payoff, lambda: mean), -payoff)
    assert torch.equal(Distance().loss(payoff, lambda: mean), torch.tensor([-3.0, -0.5, 0.0, -2.0]))
    assert torch.equal(Distance().slope(payoff, lambda: mean), torch.tensor([1.0, 1.0, 0.0, -1.0]))  # 0 at a tie
    packed = Distance().loss(payoff.reshape(2, 2), lambda: torch.tensor([1.0, 0.0]))
    assert torch.equal(packed, torch.tensor([[-3.0, -0.5], [-1.0, -3.0]]))


@pytest.mark.parametrize("size", [1.0, 1e-14, 1e-30])
def test_a_small_gradient_gives_a_whole_step(size: float) -> None:
    gradient = size * Rng.of(0).normal((3, 5))
    step = L2().steepest(gradient, 0.25, 1)
    torch.testing.assert_close(step.norm(dim=1), torch.full((3,), 0.25))
    torch.testing.assert_close(step / step.norm(dim=1, keepdim=True), L2().steepest(gradient / size, 1.0, 1))
    assert (L2().steepest(torch.zeros(1, 5), 0.25, 1) == 0).all()
