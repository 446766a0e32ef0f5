"""Rounds to a share of the real score, and the growth of a logged number, on logs written by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sparring.claims.measures.growth import Growth
from sparring.claims.measures.share_of_real import RoundsToShare
from sparring.claims.values import PlayedGame
from sparring.core.errors import UsageError
from sparring.report.read import RunRecord
from sparring.runs.schema import MetricValue

SCORES = {10: (1.0, 1.0), 20: (4.0, 2.0), 30: (9.0, 3.0), 40: (7.0, 4.0)}


@pytest.fixture
def logged_run(robgan_games: tuple[PlayedGame, PlayedGame]) -> RunRecord:
    """The run of 40 rounds with another log and summary."""
    rows = tuple({"step": step, "inception_score": list(scores)} for step, scores in SCORES.items())
    real = MetricValue(value=[10.0, 10.0], interval=None, protocol="real")
    return replace(robgan_games[0].trained, rows=rows, metrics={"inception_score_real": real})


def test_the_line_through_the_measurements_is_read_at_the_share_and_else_the_last_round_counts(
    logged_run: RunRecord,
) -> None:
    assert RoundsToShare(shares={"digits": 0.4}).of(PlayedGame(7, logged_run, 0)) == 20
    assert RoundsToShare(shares={"digits": 0.6}).of(PlayedGame(7, logged_run, 0)) == 24
    assert RoundsToShare(shares={"digits": 0.1}).of(PlayedGame(7, logged_run, 0)) == 10
    assert RoundsToShare(shares={"digits": 0.9}).of(PlayedGame(8, logged_run, 1)) == 40


def test_data_without_a_share_are_refused(logged_run: RunRecord) -> None:
    with pytest.raises(UsageError, match="digits"):
        RoundsToShare(shares={"store": 0.4}).of(PlayedGame(7, logged_run, 0))


def test_a_run_without_a_real_score_is_refused(logged_run: RunRecord) -> None:
    with pytest.raises(UsageError, match="inception_score_real"):
        RoundsToShare(shares={"digits": 0.4}).of(PlayedGame(7, replace(logged_run, metrics={}), 0))


def test_growth_is_the_slope_of_the_fitted_line_times_its_length(logged_run: RunRecord) -> None:
    late = Growth(metric="inception_score", since=0.5).of(PlayedGame(7, logged_run, 0))
    slope = np.polyfit([20, 30, 40], [4.0, 9.0, 7.0], 1)[0]
    assert late == pytest.approx(20 * slope)
    assert Growth(metric="inception_score", since=0.0).of(PlayedGame(8, logged_run, 1)) == pytest.approx(3.0)
    assert Growth(metric="inception_score", since=0.6).of(PlayedGame(8, logged_run, 1)) is None
