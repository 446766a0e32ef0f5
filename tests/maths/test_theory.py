"""The lemmas and theorems on dishonest discriminators, exactly, on random finite games, and their conditions.

Source: Xu, Li, Jegelka, sections 2 to 4 and appendix A.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import rel_entr
from torch import Tensor

from sparring.cli.theorems import DATA
from sparring.core.pieces import members
from sparring.core.randomness import Rng
from sparring.objectives import Linear, Log, Objective, SquareRoot, Tanh, Wasserstein
from sparring.theory.conditions import in_h, is_mostly_honest, theorem_5
from sparring.theory.counterexamples import overstated_flip, search
from sparring.theory.finite_games import (
    FiniteGame,
    Mixture,
    discriminator_objective,
    distribution,
    expectation,
    generator_objective,
    jsd,
    kl,
    lemma_1,
    on_scores,
    optimal_log,
    optimal_odd,
    total_variation,
)
from sparring.theory.theorem_coverage import f_generator

Psi = Callable[[Tensor], Tensor]
LOG = Log().payoff
FRAMEWORKS = {"1": optimal_log, "2": optimal_odd}
KNOTS = 9

exact = settings(deadline=None, max_examples=60, derandomize=True)


def tensor(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def honest(score: Tensor) -> Tensor:
    return score


def flip(score: Tensor) -> Tensor:
    return -score


def proof_terms(p: Tensor, q: Tensor, score: Tensor, f_g: Psi, adversary: Mixture) -> tuple[Tensor, Tensor]:
    """V_1 and V_2 of the proofs of Theorems 5 and 6, whose first perturbation is honest: equation (A.3).

    V_1 = (p_1 - sum_{i>1} p_i) (E_P - E_Q)[f_G(D)]: positive for a mostly honest adversary unless P = Q.
    V_2 = sum_{i>1} p_i (E_P - E_Q)[f_G(psi_i(D)) + f_G(D)]: not negative under the theorems' conditions.
    """
    (honest, _), *lies = adversary
    truth = f_g(score)
    first = (honest - sum(share for share, _ in lies)) * (expectation(p, truth) - expectation(q, truth))
    second = torch.zeros_like(first)
    for share, psi in lies:
        both = f_g(psi(score)) + truth
        second = second + share * (expectation(p, both) - expectation(q, both))
    return first, second


def interpolated(values: Tensor) -> Psi:
    """The piecewise linear psi through values at 0, 1/8, ..., 1."""

    def psi(theta: Tensor) -> Tensor:
        position = theta * (KNOTS - 1)
        left = position.floor().clamp(max=KNOTS - 2).long()
        return torch.lerp(values[left], values[left + 1], position - left)

    return psi


@st.composite
def pairs(draw: st.DrawFn, weight: st.SearchStrategy[float]) -> tuple[Tensor, Tensor]:
    """P and Q on two to six outcomes."""
    outcomes = draw(st.integers(2, 6))
    lists = st.lists(weight, min_size=outcomes, max_size=outcomes).filter(any)
    return distribution(tensor(draw(lists))), distribution(tensor(draw(lists)))


small_weights = st.integers(0, 20).map(float)
wide_weights = st.one_of(st.just(0.0), st.floats(-30.0, 0.0).map(lambda power: 10.0**power))


@st.composite
def odd_payoffs(draw: st.DrawFn) -> Psi:
    """A random f in H, as a function of the score."""
    linear, cubic, sine, tanh = (draw(st.floats(low, 3.0)) for low in (0.1, 0.0, 0.0, 0.0))
    rate = draw(st.floats(0.05, 3.0))

    def f(score: Tensor) -> Tensor:
        t = torch.tanh(score / 2) / 2
        return linear * t + cubic * t**3 + sine * torch.sin(math.pi * t) + tanh * torch.tanh(rate * score)

    return f


values = st.lists(st.floats(0.0, 1.0), min_size=KNOTS, max_size=KNOTS).map(tensor)
halves = st.lists(st.floats(0.0, 0.5), min_size=KNOTS // 2, max_size=KNOTS // 2)


@st.composite
def rising(draw: st.DrawFn) -> Psi:
    """Theorem 5's first condition: non-decreasing through 1/2."""
    below, above = sorted(draw(halves)), sorted(draw(halves))
    return interpolated(tensor([*below, 0.5, *(0.5 + value for value in above)]))


@st.composite
def weakly_flipping(draw: st.DrawFn) -> Psi:
    """Theorem 5's second condition: non-increasing through 1/2, and never past the flip."""
    reach = torch.arange(1, KNOTS // 2 + 1, dtype=torch.float64) / (KNOTS - 1)
    above, below = (torch.minimum(tensor(draw(halves)), reach).cummax(0).values for _ in range(2))
    return interpolated(torch.cat([0.5 + below.flip(0), tensor([0.5]), 0.5 - above]))


@st.composite
def mostly_honest(draw: st.DrawFn, psi: st.SearchStrategy[Psi]) -> list[tuple[float, Psi]]:
    """The truth with more than 1/2, one to three lies with the rest."""
    share = draw(st.floats(0.51, 1.0))
    lies = draw(st.lists(st.tuples(st.integers(1, 5), psi), min_size=1, max_size=3))
    total = sum(weight for weight, _ in lies)
    return [(share, honest), *(((1 - share) * weight / total, on_scores(each)) for weight, each in lies)]


@exact
@given(pair=pairs(wide_weights))
def test_divergences_agree_with_scipy(pair: tuple[Tensor, Tensor]) -> None:
    p, q = pair
    assert float(kl(p, q)) == pytest.approx(float(rel_entr(p.numpy(), q.numpy()).sum()), abs=1e-12)
    middle = (p + q) / 2
    halves = sum(float(rel_entr(each.numpy(), middle.numpy()).sum()) for each in (p, q)) / 2
    assert float(jsd(p, q)) == pytest.approx(halves, abs=1e-12)
    assert float(kl(p, p)) == 0
    assert bool(torch.isinf(kl(p, q))) == bool(((p > 0) & (q == 0)).any())


@exact
@given(pair=pairs(wide_weights), p_flip=st.one_of(st.just(0.0), st.floats(1e-6, 1.0)))
def test_lemma_1_identity(pair: tuple[Tensor, Tensor], p_flip: float) -> None:
    p, q = pair
    direct = FiniteGame(optimal_log, LOG, [(1 - p_flip, honest), (p_flip, flip)]).value(p, q)
    assert float(direct) == pytest.approx(float(lemma_1(p, q, p_flip)), abs=1e-12, rel=0)
    assert float(lemma_1(p, p, p_flip)) == pytest.approx(-math.log(4), abs=1e-12)


@pytest.mark.parametrize("p_flip", [1e-6, 0.1, 0.4, 1.0])
def test_lemma_1_has_no_lower_bound(p_flip: float) -> None:
    data = tensor([0.5, 0.5])
    shares = [1e-10, 1e-50, 1e-100, 1e-300]
    losses = [float(lemma_1(data, tensor([1 - share, share]), p_flip)) for share in shares]
    assert losses == sorted(losses, reverse=True)
    # Every factor 1e-200 in the missed mode's share takes another p / 2 * 460 nats.
    assert losses[2] - losses[3] == pytest.approx(p_flip / 2 * 200 * math.log(10), rel=1e-9)
    assert float(lemma_1(data, tensor([1.0, 0.0]), p_flip)) == -math.inf


@exact
@given(pair=pairs(wide_weights))
def test_the_honest_log_is_the_jensen_shannon_divergence(pair: tuple[Tensor, Tensor]) -> None:
    p, q = pair
    value = float(FiniteGame(optimal_log, LOG, [(1.0, honest)]).value(p, q))
    assert value == pytest.approx(2 * float(jsd(p, q)) - math.log(4), abs=1e-12)
    assert value >= -math.log(4) - 1e-12


@exact
@given(pair=pairs(small_weights), f=odd_payoffs(), data=st.data())
def test_no_discriminator_beats_the_optimal_one(pair: tuple[Tensor, Tensor], f: Psi, data: st.DataObject) -> None:
    p, q = pair
    other = tensor(data.draw(st.lists(st.floats(-40, 40), min_size=len(p), max_size=len(p))))
    for best, payoff in ((optimal_log(p, q), LOG), (optimal_odd(p, q), f)):
        paid = discriminator_objective(p, q, best, payoff)
        assert bool(discriminator_objective(p, q, other, payoff) <= paid + 1e-12)


@exact
@given(pair=pairs(st.integers(0, 3).map(float)), f=odd_payoffs(), psi=values, tie=st.floats(0.0, 1.0))
def test_lemma_4_leaves_ties_free(pair: tuple[Tensor, Tensor], f: Psi, psi: Tensor, tie: float) -> None:
    p, q = pair
    adversary = [(0.6, honest), (0.4, on_scores(interpolated(psi)))]
    usual, other = optimal_odd(p, q), optimal_odd(p, q, tie)
    assert torch.equal(torch.sigmoid(other)[p > q], torch.ones(int((p > q).sum()), dtype=torch.float64))
    assert torch.equal(torch.sigmoid(other)[p < q], torch.zeros(int((p < q).sum()), dtype=torch.float64))
    expected = generator_objective(p, q, usual, f, adversary)
    assert float(generator_objective(p, q, other, f, adversary)) == pytest.approx(float(expected), abs=1e-12)


def _check_robust(framework: str, pair: tuple[Tensor, Tensor], f: Psi, adversary: list[tuple[float, Psi]]) -> None:
    p, q = pair
    score = FRAMEWORKS[framework](p, q)
    value = float(generator_objective(p, q, score, f, adversary))
    first, second = map(float, proof_terms(p, q, score, f, adversary))
    assert first + second == pytest.approx(value, abs=1e-12)
    assert second >= -1e-13
    if float(total_variation(p, q)) > 1e-9:
        assert value > 0
        assert first > 0
    else:
        assert value == pytest.approx(0, abs=1e-12)


@exact
@given(
    pair=pairs(small_weights),
    f=odd_payoffs(),
    adversary=mostly_honest(st.one_of(rising(), weakly_flipping())),
)
def test_theorem_5(pair: tuple[Tensor, Tensor], f: Psi, adversary: list[tuple[float, Psi]]) -> None:
    _check_robust("1", pair, f, adversary)


@exact
@given(pair=pairs(small_weights), f=odd_payoffs(), adversary=mostly_honest(values.map(interpolated)))
def test_theorem_6(pair: tuple[Tensor, Tensor], f: Psi, adversary: list[tuple[float, Psi]]) -> None:
    _check_robust("2", pair, f, adversary)


@exact
@given(psi=rising(), other=weakly_flipping())
def test_the_conditions_recognise_what_satisfies_them(psi: Psi, other: Psi) -> None:
    assert theorem_5(psi).first.holds
    assert theorem_5(other).second.holds


@exact
@given(f=odd_payoffs())
def test_h_is_recognised(f: Psi) -> None:
    assert in_h(f).holds


@pytest.mark.parametrize("p_flip", [1e-4, 0.1, 0.5])
def test_the_log_breaks_under_any_flip(p_flip: float) -> None:
    worst = search(FiniteGame(optimal_log, LOG, [(1 - p_flip, honest), (p_flip, flip)]), tensor(DATA), rng=Rng.of(0))
    assert worst.breaks
    assert worst.excess == -math.inf
    assert worst.reference == pytest.approx(-math.log(4))


@settings(deadline=None, max_examples=20, derandomize=True)
@given(f=odd_payoffs(), p_flip=st.one_of(st.just(0.5), st.floats(0.5, 1.0)), framework=st.sampled_from("12"))
def test_a_dishonest_majority_breaks_both_frameworks(f: Psi, p_flip: float, framework: str) -> None:
    game = FiniteGame(FRAMEWORKS[framework], f, [(1 - p_flip, honest), (p_flip, flip)])
    worst = search(game, tensor(DATA), rng=Rng.of(1), draws=20)
    assert worst.breaks
    assert float(total_variation(tensor(worst.at), tensor(DATA))) >= 0.01


@pytest.mark.parametrize("name", ["linear", "cubic", "sine", "tanh"])
def test_a_perturbation_outside_theorem_5_breaks_framework_1_and_not_2(name: str) -> None:
    f = f_generator(members(Objective)[name].model_validate({}))
    adversary = [(0.51, honest), (0.49, on_scores(overstated_flip))]
    first = search(FiniteGame(optimal_log, f, adversary), tensor(DATA), rng=Rng.of(3))
    assert first.breaks
    assert first.value < 0
    assert not search(FiniteGame(optimal_odd, f, adversary), tensor(DATA), rng=Rng.of(3)).breaks


def test_the_search_is_a_function_of_its_stream() -> None:
    game = FiniteGame(optimal_log, f_generator(Linear()), [(0.4, honest), (0.6, on_scores(torch.sqrt))])
    one, two = (search(game, tensor(DATA), rng=Rng.of(4)) for _ in range(2))
    assert one == two


@pytest.mark.parametrize(
    ("psi", "first", "second", "theta"),
    [
        (lambda theta: theta, True, False, None),
        (lambda theta: 1 - theta, False, True, None),
        (lambda theta: torch.full_like(theta, 0.5), True, True, None),
        (lambda theta: torch.full_like(theta, 0.9), False, False, 0.5),
        (torch.sqrt, False, False, 0.5),
        (torch.square, False, False, 0.5),
        (overstated_flip, False, False, None),
        (lambda theta: 0.5 + 0.4 * torch.sin(2 * math.pi * theta), False, False, None),
    ],
)
def test_the_conditions_on_known_perturbations(psi: Psi, first: bool, second: bool, theta: float | None) -> None:
    found = theorem_5(psi)
    assert (found.first.holds, found.second.holds) == (first, second)
    assert found.holds == (first or second)
    assert theta is None or found.first.theta == theta


def test_a_violation_names_the_first_place() -> None:
    falls = theorem_5(lambda theta: torch.where(theta > 0.75, 0.2, 0.5).double())
    assert falls.first.theta == pytest.approx(0.75, abs=1e-3)
    assert "psi decreases" in falls.first.evidence
    outside = theorem_5(lambda theta: 2 * theta - 0.5)
    assert outside.unit.theta == 0
    assert not outside.holds
    assert not theorem_5(lambda theta: theta / 0).holds


@pytest.mark.parametrize(
    ("f", "finite", "odd", "increasing"),
    [
        (LOG, False, False, True),
        (Wasserstein().payoff, False, True, True),
        (SquareRoot().payoff, False, True, True),
        (Tanh(scale=3.0, rate=10.0).payoff, True, True, True),
        (torch.sigmoid, True, False, True),
        (lambda score: -torch.tanh(score), True, True, False),
        (lambda score: torch.relu(torch.tanh(score) - 0.1) - torch.relu(-torch.tanh(score) - 0.1), 1, 1, 0),
        (torch.zeros_like, True, True, False),
    ],
)
def test_membership_in_h(f: Psi, finite: bool, odd: bool, increasing: bool) -> None:
    found = in_h(f)
    assert (found.finite.holds, found.odd.holds, found.increasing.holds) == (finite, odd, increasing)


def test_mostly_honest_means_more_than_half() -> None:
    assert is_mostly_honest(0.51)
    assert not is_mostly_honest(0.5)
    assert not is_mostly_honest(1 - (0.1 + 0.2 + 0.2))
