"""Points of a game, from the files that a run keeps, and of its data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from new_run import new_run
from sparring.claims.measures.generated_points import PointsOverRounds, RealPoints
from sparring.claims.values import PlayedGame, Points
from sparring.core.errors import UsageError
from sparring.core.randomness import Rng
from sparring.monitoring.pictures import npz_bytes
from sparring.recipes import load
from sparring.report.read import read_run


def _games(path: Path, recipe: str, replicas: int) -> list[PlayedGame]:
    run = read_run(new_run(path / "run", load(recipe, [f"replicas={replicas}", "seed=7"])))
    return [PlayedGame(7 + index, run, index) for index in range(replicas)]


def test_points_are_those_of_the_game(tmp_path: Path) -> None:
    games = _games(tmp_path, "dishonest/ring-small", 2)
    clouds = {step: Rng.of(step).normal((2, 20, 2)).numpy() * 100 for step in (0, 10, 20, 30, 40, 50, 60)}
    clouds[60][1, 3] = np.inf
    for step, points in clouds.items():
        (games[0].trained.folder.samples / f"{step:09d}.npz").write_bytes(npz_bytes({"points": points}))
    found = PointsOverRounds(points=8, rounds=3).of(games[1])
    assert isinstance(found, Points)
    assert found.at == (0, 30, 60)
    for step, cloud in zip((0, 30), found.points, strict=False):
        np.testing.assert_allclose(cloud, clouds[step][1, :8], atol=0.0051)
    np.testing.assert_allclose(found.points[2], np.delete(clouds[60][1], 3, axis=0)[:8], atol=0.0051)


def test_real_points_are_on_the_ring(tmp_path: Path) -> None:
    (game,) = _games(tmp_path, "dishonest/ring-small", 1)
    found = RealPoints(points=200).of(game)
    assert isinstance(found, Points)
    radii = np.linalg.norm(np.array(found.points[0]), axis=1)
    assert len(radii) == 200
    assert radii.mean() == pytest.approx(2, abs=0.05)


def test_another_seed_has_none_and_a_run_without_samples_is_refused(tmp_path: Path) -> None:
    (game,) = _games(tmp_path, "dishonest/ring-small", 1)
    for measure in (PointsOverRounds(seed=8), RealPoints(seed=8)):
        assert measure.of(game) is None
    with pytest.raises(UsageError, match="kept no"):
        PointsOverRounds(seed=7).of(game)
