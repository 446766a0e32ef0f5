"""Numbers of successful games alone, and distances from a level."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from new_run import new_run
from sparring.claims.measures.conditional_numbers import DistanceFrom, FinalOfSuccesses
from sparring.claims.values import PlayedGame
from sparring.recipes import load
from sparring.report.read import read_run
from sparring.runs.schema import MetricValue


@pytest.fixture
def games(tmp_path: Path) -> list[PlayedGame]:
    """Two games, of which the first is a success and the second diverges after its third row."""
    rows = tuple({"step": step, "d_real": [0.5 + 0.1 * step, None if step > 2 else 0.2 * step]} for step in range(5))
    metrics = {
        "success": MetricValue(value=(1.0, 0.0), protocol="all"),
        "modes": MetricValue(value=(8.0, 5.0), protocol="three standard deviations"),
    }
    run = read_run(new_run(tmp_path / "run", load("dishonest/ring-small", ["replicas=2"])))
    run = replace(run, rows=rows, metrics=metrics)
    return [PlayedGame(index, run, index) for index in range(2)]


def test_a_number_of_successes_alone(games: list[PlayedGame]) -> None:
    measure = FinalOfSuccesses(metric="modes")
    assert [measure.of(game) for game in games] == [8, None]
    assert "three standard deviations" in measure.protocol(games[0])


def test_the_distance_is_of_the_last_finite_values(games: list[PlayedGame]) -> None:
    measure = DistanceFrom(metric="d_real", level=0.5, rows=2)
    assert measure.of(games[0]) == pytest.approx((0.3 + 0.4) / 2)
    assert measure.of(games[1]) == pytest.approx((0.3 + 0.1) / 2)
