"""What `sparring.testing.check` says first to the author of a piece."""

from __future__ import annotations

import pytest
from torch import Tensor

from sparring.core.errors import UsageError
from sparring.objectives import Objective
from sparring.testing import check


class Undocumented(Objective):
    def real(self, score: Tensor) -> Tensor:
        return score.float()

    def fake(self, score: Tensor) -> Tensor:
        return -score.float()

    def generator(self, score: Tensor) -> Tensor:
        return score.float()


class UndocumentedMean(Undocumented):
    def real(self, score: Tensor) -> Tensor:
        return score.mean()


class Raising(Undocumented):
    def real(self, score: Tensor) -> Tensor:
        return score[:, 0]


def test_behaviour_comes_before_the_style_of_the_docstring() -> None:
    with pytest.raises(AssertionError, match="one value a score"):
        check(UndocumentedMean())
    with pytest.raises(AssertionError, match=r"objective .*:Raising: IndexError in its contract: too many indices"):
        check(Raising())
    with pytest.raises(AssertionError, match="first line of the docstring is a sentence"):
        check(Undocumented())


def test_a_class_is_no_piece() -> None:
    with pytest.raises(UsageError, match=r"is not a piece .try: give one: Undocumented\(\)"):
        check(Undocumented)  # an instance is meant
