"""How many times as large one term is as another."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest

from sparring.claims.statements import Term
from sparring.claims.statements.ratio import Times
from sparring.claims.values import Label


class TwoTerms:
    """Numbers by the name of the measure."""

    def __init__(self, **numbers: dict[int, float]) -> None:
        self._numbers = numbers

    def by_seed(self, term: Term) -> Mapping[int, float]:
        return self._numbers[term.measure]

    def labels(self, axis: str) -> tuple[Label, ...]:
        return ()


STATEMENT = Times(left=Term(measure="slow"), right=Term(measure="fast"), factor=3.0)


def test_it_takes_the_logarithm_of_the_ratio_over_the_factor_of_paired_seeds() -> None:
    found = STATEMENT.sample(TwoTerms(slow={1: 60.0, 2: 30.0, 3: 1.0}, fast={1: 10.0, 2: 20.0}))
    assert found.values == pytest.approx((math.log(2), math.log(0.5)))
    assert STATEMENT.text == "slow > 3 x fast"


def test_a_number_that_is_not_positive_has_no_ratio() -> None:
    found = STATEMENT.sample(TwoTerms(slow={1: 0.0, 2: 60.0}, fast={1: 10.0, 2: 10.0}))
    assert found.values == pytest.approx((math.log(2),))
