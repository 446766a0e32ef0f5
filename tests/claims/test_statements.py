"""Statements reduce cells to one number for each seed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from sparring.claims.judgement import judge_statements
from sparring.claims.load import read_claims
from sparring.claims.results import CellValues, ClaimValues
from sparring.claims.statements import Term
from sparring.claims.statements.comparisons import Above, Below, Greater, Near
from sparring.claims.statements.ratio import Times
from sparring.claims.statements.trend import Trend
from sparring.core.errors import UsageError


def _cell(objective: str, p: float, wins: dict[int, float | None]) -> CellValues:
    return CellValues({"objective": objective, "p": p}, {seed: {"success": value} for seed, value in wins.items()})


VALUES = ClaimValues(
    (
        _cell("log", 0.0, {0: 1.0, 1: 1.0, 2: 1.0}),
        _cell("log", 0.4, {0: 0.0, 1: 0.0, 2: None}),
        _cell("linear", 0.0, {0: 1.0, 1: 1.0, 2: 1.0}),
        _cell("linear", 0.4, {0: 1.0, 1: 0.0, 2: 1.0}),
    )
)


def _term(**where: str | float) -> Term:
    return Term(measure="success", where=dict(where))


def test_a_difference_is_of_seeds_that_both_sides_have() -> None:
    sample = Greater(left=_term(objective="linear", p=0.4), right=_term(objective="log", p=0.4)).sample(VALUES)
    assert sample.values == (1.0, 0.0)
    assert sample.is_binary


def test_a_term_is_the_mean_of_its_cells() -> None:
    assert VALUES.by_seed(_term(objective="linear")) == {0: 1.0, 1: 0.5, 2: 1.0}
    assert VALUES.by_seed(_term(objective="log")) == {0: 0.5, 1: 0.5}  # seed 2 lacks a number
    sample = Greater(left=_term(objective="linear"), right=_term(objective="log")).sample(VALUES)
    assert sample.values == (0.5, 0.0)
    assert not sample.is_binary


def test_labels_are_compared_as_text() -> None:
    assert VALUES.by_seed(_term(objective="linear", p="0.4")) == VALUES.by_seed(_term(objective="linear", p=0.4))


def test_bounds_and_margins() -> None:
    term = _term(objective="linear", p=0.4)
    assert Above(left=term, bound=0.5).sample(VALUES).values == (0.5, -0.5, 0.5)
    assert Below(left=term, bound=0.5).sample(VALUES).values == (-0.5, 0.5, -0.5)
    assert Near(left=term, right=1.0, margin=0.1).sample(VALUES).values == (0.0, -1.0, 0.0)
    with_margin = Greater(left=term, right=_term(objective="linear", p=0.0), margin=0.25).sample(VALUES)
    assert with_margin.values == (-0.25, -1.25, -0.25)
    assert with_margin.is_binary
    assert Greater(left=term, right=term, margin=-0.25).text == f"{term} > {term} - 0.25"


def test_numbers_that_are_not_finite_are_no_numbers() -> None:
    values = ClaimValues((_cell("log", 0.0, {0: float("nan"), 1: float("inf"), 2: 1.0}),))
    assert values.by_seed(_term(objective="log")) == {2: 1.0}


def test_a_ratio_is_of_seeds_whose_numbers_are_above_zero() -> None:
    values = ClaimValues((_cell("log", 0.0, {0: 2.0, 1: 4.0, 2: 4.0}), _cell("linear", 0.0, {0: 1.0, 1: 0.0, 2: 1.0})))
    times = Times(left=_term(objective="log"), right=_term(objective="linear"), factor=2.0)
    assert times.sample(values).values == pytest.approx((0.0, math.log(2)))


def test_seeds_without_a_number_are_said() -> None:
    values = ClaimValues((_cell("log", 0.0, {seed: None if seed < 2 else 1.0 + seed for seed in range(8)}),))
    claim = read_claims(Path(__file__).parent / "tiny.yaml").claims["shared"]
    claim = claim.model_copy(update={"statements": (Above(left=_term(objective="log"), bound=0.0),)})
    (statement,) = judge_statements(claim, values)
    assert (statement.verdict, statement.seeds) == ("holds", 6)
    assert statement.reason == "2 of 8 seeds have no number on one side and are left out"


@pytest.mark.parametrize(("direction", "sign"), [("rises", 1.0), ("falls", -1.0)])
def test_a_trend_is_a_rank_correlation(direction: str, sign: float) -> None:
    rows = {0: [1.0, 4.0, 9.0, 16.0], 1: [4.0, 3.0, 2.0, 1.0], 2: [5.0, 5.0, 5.0, 5.0], 3: [1.0, 3.0, 2.0, 4.0]}
    cells = tuple(
        CellValues({"p": p}, {seed: {"success": row[place]} for seed, row in rows.items()})
        for place, p in enumerate((0.0, 0.1, 0.2, 0.3))
    )
    trend = Trend.model_validate({"term": {"measure": "success"}, "along": "p", "direction": direction})
    # Spearman: 1 - 6 sum d^2 / (n (n^2 - 1)); for 1 3 2 4 that is 1 - 12 / 60.
    assert trend.sample(ClaimValues(cells)).values == pytest.approx(tuple(sign * r for r in (1.0, -1.0, 0.0, 0.8)))


def test_wrong_labels_are_refused() -> None:
    with pytest.raises(UsageError, match="no cell has"):
        VALUES.by_seed(_term(objective="sine"))
    with pytest.raises(UsageError, match="no cell has an axis"):
        VALUES.labels("clip")
