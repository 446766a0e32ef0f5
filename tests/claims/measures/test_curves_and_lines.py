"""Measures of curves and of games on a line, on made-up runs."""

from types import SimpleNamespace

import numpy as np
import pytest

from sparring.claims.measures.jumps import DifferenceCurve, Jumps, MeanSize
from sparring.claims.measures.line_numbers import GeneratorDirection, GeneratorSignal, LineCurve
from sparring.claims.measures.numbers import Best
from sparring.claims.values import PlayedGame
from sparring.report.read import Series


def game_with(**curves):
    """The second game of a run with these curves, at rounds 10, 20, ..."""
    rounds = 10.0 * np.arange(1, 5)
    series = {
        name: Series(rounds, np.stack([np.zeros(4), np.array(values)], axis=1)) for name, values in curves.items()
    }
    return PlayedGame(0, SimpleNamespace(series=series.get, name="run", logged=tuple(series)), 1)


def test_jumps_of_a_difference():
    game = game_with(score_real=[1.0, 4.0, 2.0, 2.0], score_fake=[0.0, 1.0, 1.0, -1.0])
    # the difference is 1, 3, 1, 3
    assert Jumps(metric="score_real", less="score_fake").of(game) == 2
    assert Jumps(metric="score_real").of(game) == pytest.approx(5 / 3)
    assert Jumps(metric="score_real", less="score_fake", after=30).of(game) == 2
    assert MeanSize(metric="score_real", less="score_fake", after=20).of(game) == pytest.approx(7 / 3)
    assert DifferenceCurve(metric="score_real", less="score_fake").of(game).y == (1, 3, 1, 3)


@pytest.mark.parametrize(("better", "value", "named"), [("higher", 4, "the highest of"), ("lower", 1, "the lowest of")])
def test_the_best_of_a_game(better, value, named):
    game, measure = game_with(y=[2.0, 4.0, np.nan, 1.0]), Best(metric="y", better=better)
    assert measure.of(game) == value
    assert measure.protocol(game).startswith(named)


def test_a_game_that_diverged_has_no_jumps():
    assert Jumps(metric="y").of(game_with(y=[1.0, np.nan, 2.0, 2.0])) is None


@pytest.fixture
def line(tmp_path):
    """The second of two games on a line, pictured at rounds 0 and 60."""
    edges = np.linspace(-2, 2, 5)
    for step in (0, 60):
        arrays = {
            "edges": edges,
            "real": np.array([0.0, 0, 0, 1]),
            "generated": np.ones((2, 4)) / 4,
            "places": np.array([0.0, 1]),
            "score": np.array([[9.0, 9], [0, step]]),
            "starts": np.array([[9.0, 9], [-1, 1.8]]),
            "gradient": np.array([[9.0, 9], [0.5, -step / 30]]),
        }
        np.savez(tmp_path / f"{step:09d}.npz", **arrays)
    return PlayedGame(0, SimpleNamespace(folder=SimpleNamespace(samples=tmp_path), name="run"), 1)


def test_the_signal_of_a_generator_on_a_line(line):
    assert GeneratorSignal(at=50).of(line) == pytest.approx((0.5 + 2) / 2)
    # the real samples are about 1.5, between both generated ones, whose gradients point there; at first one has none
    assert GeneratorDirection(at=60).of(line) == 1
    assert GeneratorDirection(at=0).of(line) == 0.5
    curve = LineCurve(curve="probability", at=0).of(line)
    assert curve.x == (0, 1)
    assert curve.y == (0.5, 0.5)
    assert LineCurve(curve="real", at=0).of(line).x == (-1.5, -0.5, 0.5, 1.5)
