"""Charts of the entries draw measures and axes that the entries have."""

from __future__ import annotations

import pytest

from sparring.claims.claim_schema import ScaleName
from sparring.claims.load import all_claims

CLAIMS = all_claims()


@pytest.mark.parametrize("name", CLAIMS)
def test_a_chart_draws_what_its_entry_has(name: str) -> None:
    claim = CLAIMS[name]
    scales: tuple[ScaleName, ...] = ("small", "paper")
    for scale in scales:
        axes = {"cells"} | {axis for group in claim.scale(scale).cells for axis in group.axes}
        for chart in claim.charts:
            assert set(chart.measures) <= set(claim.measures)
            assert set(chart.axes) | set(chart.where) <= axes
