"""Every registered objective: properties of the family, and closed forms at 50 digits for ours."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from sparring.core.pieces import members
from sparring.objectives import (
    Apart,
    Hinge,
    LeastSquares,
    Linear,
    Log,
    Objective,
    OnProbability,
    PiecewiseLinear,
    SquareRoot,
    Tanh,
    ZeroSum,
    is_increasing,
    is_odd,
)

PLAYERS = ("real", "fake", "generator")
NEEDS_ARGUMENTS = {"apart": Apart(f_d=Log(), f_g=Linear())}
MEMBERS: dict[str, Objective] = NEEDS_ARGUMENTS | {
    name: cls.model_validate({}) for name, cls in members(Objective).items() if name not in NEEDS_ARGUMENTS
}
ZERO_SUM = {name: each for name, each in MEMBERS.items() if isinstance(each, ZeroSum)}
ODD = {name: each for name, each in ZERO_SUM.items() if is_odd(each.payoff)}
ON_PROBABILITY = {name: each for name, each in MEMBERS.items() if isinstance(each, OnProbability)}

Real = mpmath.mpf
Form = Callable[[Real], Real]
mpmath.mp.dps = 50


class Forms(NamedTuple):
    """What an objective pays, as functions of the exact score."""

    real: Form
    fake: Form
    generator: Form


def zero_sum(f: Form) -> Forms:
    return Forms(f, lambda s: f(-s), lambda s: -f(-s))


def on_probability(f: Form) -> Forms:
    """f of t = sigmoid(s) - 1/2."""
    return zero_sum(lambda s: f(1 / (1 + mpmath.exp(-s)) - mpmath.mpf(1) / 2))


def log_sigmoid(s: Real) -> Real:
    return -mpmath.log1p(mpmath.exp(-s))


def piecewise(t: Real) -> Real:
    """Slope 1/2 up to |t| = 1/4, then 3/2, so that f(1/2) = 1/2."""
    size = abs(t)
    return mpmath.sign(t) * (size / 2 if size <= 0.25 else mpmath.mpf(1) / 8 + (size - 0.25) * 3 / 2)


def square_root(s: Real) -> Real:
    return 2 * s if abs(s) <= 0.25 else mpmath.sign(s) * mpmath.sqrt(abs(s))


LOG = zero_sum(log_sigmoid)
LINEAR = on_probability(lambda t: t)
CLOSED_FORMS = {
    "log": LOG,
    "nonsaturating": LOG._replace(generator=log_sigmoid),
    "least_squares": Forms(lambda s: -((s - 1) ** 2) / 2, lambda s: -(s**2) / 2, lambda s: -((s - 1) ** 2) / 2),
    "hinge": Forms(lambda s: min(0, s - 1), lambda s: min(0, -s - 1), lambda s: s),
    "apart": LOG._replace(generator=LINEAR.generator),
    "linear": LINEAR,
    "piecewise_linear": on_probability(piecewise),
    "cubic": on_probability(lambda t: t / 4 + 3 * t**3),
    "sine": on_probability(lambda t: mpmath.sin(mpmath.pi * t) / 2),
    "tanh": zero_sum(lambda s: 3 * mpmath.tanh(mpmath.mpf(0.15) * s)),
    "erf": zero_sum(lambda s: 5 * mpmath.erf(mpmath.mpf(0.1) * s)),
    "square_root": zero_sum(square_root),
    "wasserstein": zero_sum(lambda s: s),
}


def scores(dtype: torch.dtype = torch.float64) -> Tensor:
    """Scores in [-300, 300], dense around 0, all of them exact in fp32."""
    wide = torch.linspace(-300, 300, 121)
    near = torch.linspace(-20, 20, 81)
    return torch.cat([wide, near, torch.tensor([-0.25, 0.0, 0.25, 1.0])]).float().to(dtype)


def pay(objective: Objective, player: str, score: Tensor) -> Tensor:
    paid: Tensor = getattr(objective, player)(score)
    return paid


every = pytest.mark.parametrize("name", MEMBERS)
each_player = pytest.mark.parametrize("player", PLAYERS)


def test_every_objective_of_ours_has_a_closed_form() -> None:
    ours = {name for name, each in MEMBERS.items() if type(each).__module__.startswith("sparring.")}
    assert ours == set(CLOSED_FORMS)


@pytest.mark.parametrize("name", CLOSED_FORMS)
@each_player
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2.5e-7), (torch.float64, 1e-15)])
def test_closed_form(name: str, player: str, dtype: torch.dtype, tolerance: float) -> None:
    score = scores(dtype)
    form = getattr(CLOSED_FORMS[name], player)
    wanted = [form(mpmath.mpf(float(s))) for s in score]
    paid = pay(MEMBERS[name], player, score)
    for s, value, want in zip(score.tolist(), paid.tolist(), wanted, strict=True):
        assert abs(mpmath.mpf(value) - want) <= tolerance * max(1, abs(want)), (s, value)


def test_the_log_keeps_its_digits_where_it_vanishes() -> None:
    score = torch.linspace(0, 300, 61, dtype=torch.float64)
    for s, value in zip(score.tolist(), Log().real(score).tolist(), strict=True):
        assert value == pytest.approx(float(log_sigmoid(mpmath.mpf(s))), rel=1e-13)


def test_the_log_has_gradients_where_naive_forms_saturate() -> None:
    score = torch.tensor([-300.0, 17.0, 20.0, 100.0, 300.0], requires_grad=True)
    (fake,) = torch.autograd.grad(Log().fake(score).sum(), score)
    assert torch.allclose(fake, -torch.sigmoid(score.detach()), rtol=1e-6)


@every
@each_player
def test_derivatives_agree_with_finite_differences(name: str, player: str) -> None:
    # Between the kinks of the piecewise ones: at 1/4, 1, and where sigmoid(s) = 3/4.
    score = torch.tensor([-7.3, -2.1, -0.61, -0.13, 0.17, 0.43, 2.7, 9.2], dtype=torch.float64)
    payoff = lambda s: pay(MEMBERS[name], player, s)  # noqa: E731
    assert torch.autograd.gradcheck(payoff, score.requires_grad_())
    curved = lambda s: payoff(s) + s**2  # noqa: E731 - a linear payoff has no second derivative to take
    assert torch.autograd.gradgradcheck(curved, score)


@pytest.mark.parametrize("name", ZERO_SUM)
def test_a_zero_sum_game_pays_g_what_d_loses(name: str) -> None:
    score = scores(torch.float32)
    objective = ZERO_SUM[name]
    assert torch.equal(objective.fake(score), objective.real(-score))
    if type(objective).generator is ZeroSum.generator:
        assert torch.equal(objective.generator(score), -objective.fake(score))


def test_h_and_h_hat_are_odd_and_the_rest_is_not() -> None:
    h = {"linear", "piecewise_linear", "cubic", "sine"}
    assert h <= set(ON_PROBABILITY)
    assert set(ODD) & set(CLOSED_FORMS) == h | {"tanh", "erf", "square_root", "wasserstein"}
    assert not is_odd(Log().payoff)
    assert not is_odd(LeastSquares().real)
    assert not is_odd(Hinge().real)
    assert not is_odd(lambda s: torch.tanh(s) + 1e-3)
    assert not is_increasing(lambda s: torch.relu(s))


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_oddness_is_exact(name: str, dtype: torch.dtype) -> None:
    score = scores(dtype)
    payoff = ODD[name].payoff
    assert torch.equal(payoff(-score), -payoff(score))
    assert bool((payoff(torch.zeros(1, dtype=dtype)) == 0).all())
    assert is_increasing(payoff)


@pytest.mark.parametrize("name", ON_PROBABILITY)
def test_members_of_h_share_their_range(name: str) -> None:
    ends = torch.tensor([-math.inf, -300.0, 300.0, math.inf], dtype=torch.float64)
    wanted = torch.tensor([-0.5, -0.5, 0.5, 0.5], dtype=torch.float64)
    assert torch.allclose(ON_PROBABILITY[name].payoff(ends), wanted, rtol=0, atol=1e-15)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(knee=st.floats(0.01, 0.49), slope=st.floats(0.01, 1.99))
def test_every_piecewise_linear_is_in_h_where_it_can_be(knee: float, slope: float) -> None:
    if slope * knee >= 0.5 - 1e-3:
        return
    f = PiecewiseLinear(knee=knee, inner_slope=slope)
    t = torch.linspace(-0.5, 0.5, 4001, dtype=torch.float64)
    value = f.odd(t)
    assert torch.equal(f.odd(-t), -value)
    assert float(value[-1]) == pytest.approx(0.5, abs=1e-12)
    assert bool((value.diff() > 0).all())
    assert float(f.odd(t[t.abs() < knee])[-1]) == pytest.approx(slope * float(t[t.abs() < knee][-1]))


def test_the_square_root_has_slope_two_at_zero() -> None:
    score = torch.zeros(1, requires_grad=True)
    (slope,) = torch.autograd.grad(SquareRoot().payoff(score).sum(), score)
    assert float(slope) == 2


@pytest.mark.parametrize(
    ("cls", "arguments"),
    [
        (Hinge, {"margin": 0.0}),
        (Tanh, {"rate": -1.0}),
        (PiecewiseLinear, {"knee": 0.5}),
        (PiecewiseLinear, {"inner_slope": 0.0}),
        (PiecewiseLinear, {"knee": 0.45, "inner_slope": 1.9}),
        (Apart, {"f_d": "log"}),
    ],
)
def test_arguments_outside_their_range_are_refused(cls: type[Objective], arguments: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        cls.model_validate(arguments)
