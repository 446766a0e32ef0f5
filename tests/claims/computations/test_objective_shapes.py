"""Figure 2a as a computation."""

from __future__ import annotations

import math

import pytest

from sparring.claims.computations.objective_shapes import ObjectiveShape
from sparring.claims.values import SampledCurve
from sparring.objectives import Cubic, Linear, Log, Objective, PiecewiseLinear, Sine


@pytest.mark.parametrize(
    ("objective", "middle"),
    [(Linear(), 1.0), (PiecewiseLinear(), 0.5), (Cubic(), 0.25), (Sine(), math.pi / 2)],
)
def test_members_of_h(objective: Objective, middle: float) -> None:
    found = ObjectiveShape(objective=objective).compute(0)
    assert float(str(found["oddness"])) < 1e-12
    assert float(str(found["rise"])) > 0
    assert found["middle"] == pytest.approx(middle, rel=0.02)


def test_the_log_is_no_member() -> None:
    found = ObjectiveShape(objective=Log()).compute(0)
    assert float(str(found["oddness"])) > 0.5
    shape = found["shape"]
    assert isinstance(shape, SampledCurve)
    assert shape.y[0] is None
    assert shape.y[20] == pytest.approx(math.log(0.5), abs=1e-4)
