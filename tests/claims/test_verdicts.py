"""Intervals, tests and corrections of verdicts, against closed forms and other implementations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sparring.claims.results import CellValues, ClaimValues
from sparring.claims.statements import Sample, Term
from sparring.claims.statements.comparisons import Above, AgainstNumber, Below, Greater, Near
from sparring.claims.verdicts import (
    Verdict,
    estimate,
    holm,
    matched_pairs,
    overall,
    verdict_on,
)


def _pairs(left: list[float], right: list[float]) -> Sample:
    sides = tuple(zip(left, right, strict=True))
    return Sample(tuple(a - b for a, b in sides), sides)


NUMBERS = st.lists(st.floats(-10, 10, allow_subnormal=False), min_size=2, max_size=12)


@given(NUMBERS)
def test_students_t_is_scipys(values: list[float]) -> None:
    values = [*values, max(values) + 1.0]
    found = estimate(Sample(tuple(values)))
    expected = stats.ttest_1samp(values, 0.0)
    assert found is not None
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.interval == pytest.approx(tuple(expected.confidence_interval(0.95)), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("statement", [Below, Above])
@pytest.mark.parametrize(("seeds", "verdict"), [(5, "undecided"), (10, "undecided"), (40, "holds")])
def test_a_share_of_games_is_judged_by_wilsons_score(
    statement: type[AgainstNumber], seeds: int, verdict: Verdict
) -> None:
    """None of 2 x 10 games succeed: the share may well be 0.1, whose p is that of the score test."""
    rare = statement is Below
    cells = tuple(
        CellValues({"p": p}, {seed: {"success": float(not rare)} for seed in range(seeds)}) for p in (0.5, 0.6)
    )
    made = statement(left=Term(measure="success"), bound=0.1 if rare else 0.9)
    sample = made.sample(ClaimValues(cells))
    found = estimate(sample)
    assert found is not None
    count = 2 * seeds
    z = 0.1 / np.sqrt(0.1 * 0.9 / count)
    assert found.p == pytest.approx(2 * stats.norm.sf(z))
    assert (found.mean, sample.games) == (pytest.approx(0.1), 2)
    # Of failures where successes should be rare.
    low, high = stats.binomtest(count, count).proportion_ci(method="wilson")
    assert found.interval == pytest.approx((low - 0.9, high - 0.9))
    assert verdict_on(sample, found, found.p) == verdict
    spread = estimate(Sample((0.05, *sample.values), margin=sample.margin, games=2))
    assert spread is not None and spread.method.startswith("Student's t"), "seeds that differ have a spread"


@given(NUMBERS, st.floats(0.01, 5))
def test_near_is_two_one_sided_tests(values: list[float], margin: float) -> None:
    values = [*values, max(values) + 1.0]
    found = estimate(Sample(tuple(values), aim="near", margin=margin))
    above = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(values, margin, alternative="less").pvalue
    assert found is not None
    beyond = [
        stats.ttest_1samp(values, margin, alternative="greater").pvalue,
        stats.ttest_1samp(values, -margin, alternative="less").pvalue,
    ]
    p = max(above, below) if abs(np.mean(values)) <= margin else min(1.0, 2 * min(beyond))
    assert found.p == pytest.approx(p, rel=1e-6, abs=1e-12)


def test_a_contradiction_of_equality_is_corrected() -> None:
    sample = Sample((0.14, 0.11, 0.15, 0.12, 0.13), aim="near", margin=0.1)
    found = estimate(sample)
    assert found is not None and found.interval[0] > 0.1
    assert verdict_on(sample, found, holm([found.p])[0]) == "contradicted"
    assert verdict_on(sample, found, holm([found.p] * 20)[0]) == "undecided"


@pytest.mark.parametrize(
    ("statement", "count", "verdict"),
    [("near", 10, "undecided"), ("near", 40, "holds"), ("greater", 10, "undecided"), ("greater", 40, "holds")],
)
def test_equal_success_rates_of_few_seeds_are_no_proof(statement: str, count: int, verdict: Verdict) -> None:
    # All games succeed on both sides: the interval of ten pairs is 0.16 wide on each side, of forty 0.05.
    cells = tuple(
        CellValues({"objective": name}, {seed: {"success": 1.0} for seed in range(count)}) for name in ("log", "linear")
    )
    left, right = (Term(measure="success", where={"objective": name}) for name in ("linear", "log"))
    made = (
        Near(left=left, right=right, margin=0.1)
        if statement == "near"
        else Greater(left=left, right=right, margin=-0.1)
    )
    sample = made.sample(ClaimValues(cells))
    found = estimate(sample)
    assert found is not None and "matched pairs" in found.method
    assert verdict_on(sample, found, found.p) == verdict


def test_matched_pairs_of_five_wins() -> None:
    # b = 5, c = 0, n = 5: with half a pair added to each kind (5.5 - 0.5) / 7, variance (6 - 25 / 7) / 49.
    found = matched_pairs(_pairs([1.0] * 5, [0.0] * 5))
    centre, error = 5 / 7, np.sqrt((6 - 25 / 7) / 49)
    assert found.mean == 1.0
    assert found.interval == pytest.approx((centre - 1.959964 * error, min(1.0, centre + 1.959964 * error)), rel=1e-6)
    assert found.p == pytest.approx(2 * stats.norm.sf(centre / error), rel=1e-9)


def test_matched_pairs_cover_the_truth() -> None:
    # The interval is for a difference of two rates; over many samples of ten pairs at least 93 % contain it.
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        left, right = rng.random(10) < 0.8, rng.random(10) < 0.5
        low, high = matched_pairs(_pairs(left.astype(float).tolist(), right.astype(float).tolist())).interval
        hits += low <= 0.3 <= high
    assert hits / 2000 > 0.93


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_its_steps_reject(ps: list[float]) -> None:
    # The step-down procedure itself: the smallest p against 0.05 / m, the next against 0.05 / (m - 1), until one fails.
    order = sorted(range(len(ps)), key=ps.__getitem__)
    rejected = set()
    for place, index in enumerate(order):
        if ps[index] * (len(ps) - place) >= 0.05:
            break
        rejected.add(index)
    assert {index for index, p in enumerate(holm(ps)) if p < 0.05} == rejected


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((1.0, 1.1, 0.9, 1.0, 1.2), "holds"),
        ((-1.0, -1.1, -0.9, -1.0, -1.2), "contradicted"),
        ((1.0, -1.1, 0.9, -1.0, 0.2), "undecided"),
        ((1.0, 1.1, 0.9, 1.0), "undecided"),  # four seeds
        ((2.0,) * 5, "holds"),
        ((0.0,) * 5, "undecided"),
    ],
)
def test_verdicts(values: tuple[float, ...], verdict: Verdict) -> None:
    sample = Sample(values)
    found = estimate(sample)
    assert found is not None
    assert verdict_on(sample, found, found.p) == verdict


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.01, -0.02, 0.0, 0.02, -0.01), "holds"),
        ((1.01, 0.98, 1.0, 1.02, 0.99), "contradicted"),
        ((0.6, -0.6, 0.3, 0.5, -0.4), "undecided"),
    ],
)
def test_verdicts_on_equality(values: tuple[float, ...], verdict: Verdict) -> None:
    sample = Sample(values, aim="near", margin=0.1)
    found = estimate(sample)
    assert found is not None
    assert verdict_on(sample, found, found.p) == verdict


def test_one_number_is_no_estimate() -> None:
    assert estimate(Sample((1.0,))) is None
    assert verdict_on(Sample((1.0,)), None, 0.0) == "undecided"


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["holds", "holds"], "holds"),
        (["holds", "undecided"], "undecided"),
        (["undecided", "contradicted"], "contradicted"),
        (["contradicted", "not played"], "not played"),
        (["holds", "not comparable"], "holds"),
        (["not comparable", "not comparable"], "not comparable"),
    ],
)
def test_a_claim_is_as_good_as_its_worst_statement(verdicts: list[Verdict], expected: Verdict) -> None:
    assert overall(verdicts) == expected
