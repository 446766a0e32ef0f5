"""A record that is made in Python says what is wrong as the command line does: key, value, what is allowed."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest

from sparring.attacks import PGD
from sparring.core.errors import UsageError
from sparring.core.records import InvalidRecord
from sparring.feedback import Flipping
from sparring.regimes import Warmup


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: PGD(eps=8 / 255), "PGD: eps = 0.0313.*: unknown key; did you mean epsilon?"),
        (lambda: PGD(epsilon=-1), "PGD: epsilon = -1: should be greater than or equal to 0"),
        (lambda: PGD(epsilon="8/0"), "PGD: epsilon = '8/0': should be a valid number"),
        (lambda: PGD(norm="linf"), "PGD: norm = 'linf': unknown key; allowed: epsilon, ball, "),
        (lambda: PGD(ball="linfty"), "PGD: ball.name = 'linfty': no such ball; did you mean linf?"),
        (lambda: PGD(ball="none"), "PGD: start = 'default': random needs a ball to draw from, and ball is none"),
        (lambda: Warmup(start=3, end=2), "Warmup: end = 2 comes before start = 3"),
        (lambda: Flipping(probability=1.4), "Flipping: probability = 1.4: should be less than or equal to 1"),
        (lambda: Flipping(prob=0.4), "Flipping: prob = 0.4: unknown key; did you mean probability?"),
        (lambda: Flipping(), "Flipping: probability = .nothing.: this key is required"),
    ],
)
def test_a_mistake_is_said_in_one_line_with_its_key(make: Callable[[], object], said: str) -> None:
    with pytest.raises(InvalidRecord, match=f"^{said}") as caught:
        make()
    assert "\n" not in str(caught.value)
    assert "(try: keys of " in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_a_value_without_a_key_and_an_assignment_are_refused() -> None:
    with pytest.raises(UsageError, match=r"PGD.0.1.: the value has no key .try: write PGD.KEY=VALUE.; keys: epsilon, "):
        PGD(0.1)
    with pytest.raises(UsageError, match=r"epsilon = 0.1: a PGD is frozen .try: make another"):
        PGD().epsilon = 0.1
