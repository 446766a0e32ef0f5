"""Every registered perturbation against logit(psi(sigmoid(s))) in 200 digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sparring.core.pieces import members
from sparring.core.records import InvalidRecord
from sparring.feedback import Constant, Flip, Function, Honest, Perturbation, Power, Sqrt, Square

Real = mpmath.mpf
# 1 - sigmoid(300) is 5e-131: an oracle that subtracts needs more digits than that.
DIGITS = 200


def cubed(theta: Tensor) -> Tensor:
    """A power law, to compare with `power`."""
    return theta**3


def flat(theta: Tensor) -> Tensor:
    """Ignores its argument."""
    return torch.full_like(theta, 0.9)


def wavy(theta: Tensor) -> Tensor:
    """Neither monotone nor near the ends at the ends."""
    return 0.5 + 0.3 * torch.sin(7 * theta)


def user(function: Callable[[Tensor], Tensor]) -> Function:
    return Function(psi=f"{__name__}:{function.__name__}")


class Exact(NamedTuple):
    """A perturbation, psi as a function of d, and the bounds of ds'/ds."""

    perturbation: Perturbation
    psi: Callable[[Real], Real]
    slopes: tuple[float, float]


def power(a: float) -> Exact:
    return Exact(Power(exponent=a), lambda d: d ** mpmath.mpf(a), (min(1.0, a), max(1.0, a)))


CASES = {
    "honest": Exact(Honest(), lambda d: d, (1, 1)),
    "flip": Exact(Flip(), lambda d: 1 - d, (-1, -1)),
    "sqrt": Exact(Sqrt(), mpmath.sqrt, (0.5, 1)),
    "square": Exact(Square(), lambda d: d**2, (1, 2)),
    "constant": Exact(Constant(value=0.9), lambda _: mpmath.mpf(0.9), (0, 0)),
    "constant(0.5)": Exact(Constant(), lambda _: mpmath.mpf(0.5), (0, 0)),
    "power": power(3.0),
    "power(0.1)": power(0.1),
    "power(0.5)": power(0.5),
    "power(1)": power(1.0),
    "power(10)": power(10.0),
}
NEEDS_ARGUMENTS: dict[str, Perturbation] = {"power": Power(exponent=3.0), "function": user(wavy)}
MEMBERS: dict[str, Perturbation] = NEEDS_ARGUMENTS | {
    name: cls.model_validate({}) for name, cls in members(Perturbation).items() if name not in NEEDS_ARGUMENTS
}
case = pytest.mark.parametrize("name", CASES)
every = pytest.mark.parametrize("name", MEMBERS)


def scores(dtype: torch.dtype) -> Tensor:
    """200 scores in [-300, 300], exact in fp32, among them those around the power map's series."""
    near = torch.linspace(-15, 15, 121)
    series = -torch.log(torch.expm1(torch.tensor([0.9e-4, 1.1e-4])))
    return torch.cat([torch.linspace(-300, 300, 77), near, series]).float().to(dtype)


def exact_scores(psi: Callable[[Real], Real], score: Tensor) -> list[Real]:
    with mpmath.workdps(DIGITS):
        perturbed = [psi(1 / (1 + mpmath.exp(-mpmath.mpf(s)))) for s in score.tolist()]
        return [mpmath.log(d) - mpmath.log(1 - d) for d in perturbed]


def slopes(perturbation: Perturbation, score: Tensor) -> tuple[Tensor, Tensor]:
    score = score.clone().requires_grad_()
    (first,) = torch.autograd.grad(perturbation.score(score).sum(), score, create_graph=True)
    (second,) = torch.autograd.grad((first + 0 * score).sum(), score)
    return first.detach(), second


def test_every_perturbation_of_ours_has_an_oracle() -> None:
    ours = {name for name, each in MEMBERS.items() if type(each).__module__.startswith("sparring.")}
    assert ours == {each.perturbation.name for each in CASES.values()} | {"function"}


@case
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 2.5e-7), (torch.float64, 2e-15)])
def test_the_map_on_scores_is_exact(name: str, dtype: torch.dtype, tolerance: float) -> None:
    exact, score = CASES[name], scores(dtype)
    perturbed = exact.perturbation.score(score)
    assert perturbed.dtype == dtype
    for s, value, want in zip(score.tolist(), perturbed.tolist(), exact_scores(exact.psi, score), strict=True):
        assert abs(mpmath.mpf(value) - want) <= tolerance * max(1, abs(want)), (s, value)


@case
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_slopes_are_bounded(name: str, dtype: torch.dtype) -> None:
    exact = CASES[name]
    first, second = slopes(exact.perturbation, scores(dtype))
    low, high = exact.slopes
    slack = 1e-6 if dtype == torch.float32 else 1e-14
    assert bool((first >= low - slack).all()), float(first.min())
    assert bool((first <= high + slack).all()), float(first.max())
    assert torch.isfinite(second).all()


@every
def test_slopes_agree_with_finite_differences(name: str) -> None:
    score = torch.tensor([-9.3, -2.1, -0.3, 0.0, 0.7, 3.1, 8.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(MEMBERS[name].score, score)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(a=st.floats(0.05, 20.0), s=st.floats(-300, 300))
def test_any_power_at_any_score(a: float, s: float) -> None:
    score = torch.tensor([s], dtype=torch.float64)
    (want,) = exact_scores(lambda d: d ** mpmath.mpf(a), score)
    assert abs(float(Power(exponent=a).score(score)) - want) <= 4e-15 * max(1, abs(want), a)


def test_a_user_function_equals_the_built_in_power() -> None:
    score = scores(torch.float32)
    torch.testing.assert_close(user(cubed).score(score), Power(exponent=3.0).score(score), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        slopes(user(cubed), score)[0], slopes(Power(exponent=3.0), score)[0], rtol=1e-3, atol=1e-4
    )


def test_a_function_that_ignores_its_argument_is_a_constant() -> None:
    score = scores(torch.float32)
    torch.testing.assert_close(user(flat).score(score), Constant(value=0.9).score(score))
    assert not slopes(user(flat), score)[0].any()


@pytest.mark.parametrize("psi", ["no.such:thing", f"{__name__}:missing", "math:pi", "nothing"])
def test_what_is_no_function_is_refused(psi: str) -> None:
    with pytest.raises(InvalidRecord):
        Function(psi=psi)
