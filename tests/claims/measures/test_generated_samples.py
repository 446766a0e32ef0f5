"""Points and pictures of a game, from the files that a run keeps."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from new_run import new_run
from sparring.claims.measures.generated_samples import LastPictures, PointsOverRounds, RealPoints
from sparring.claims.values import Pictures, PlayedGame, Points
from sparring.core.errors import UsageError
from sparring.core.randomness import Rng
from sparring.core.shapes import as_bytes
from sparring.monitoring.pictures import npz_bytes, png_grid
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


@pytest.mark.parametrize(("replicas", "each"), [(1, 64), (3, 21)])
def test_pictures_are_those_of_the_game(tmp_path: Path, replicas: int, each: int) -> None:
    games = _games(tmp_path, "dishonest/digits", replicas)
    images = Rng.of(0).uniform((replicas * each, 1, 8, 8), -1.0, 1.0)
    games[0].trained.folder.samples.joinpath("000000500.png").write_bytes(png_grid(torch.zeros_like(images)))
    games[0].trained.folder.samples.joinpath("000001000.png").write_bytes(png_grid(images))
    game = games[-1]
    found = LastPictures(images=5).of(game)
    assert isinstance(found, Pictures)
    ((name, png),) = found.png.items()
    assert name == "round 1,000"
    grid = _pixels(png)
    assert grid.shape == (2 * 9, 3 * 9)
    of_game = as_bytes(images)[game.index * each :, 0].numpy()
    for index in range(5):
        row, column = divmod(index, 3)
        np.testing.assert_array_equal(grid[9 * row : 9 * row + 8, 9 * column : 9 * column + 8], of_game[index])


def test_pictures_keep_their_size(tmp_path: Path) -> None:
    (game,) = _games(tmp_path, "dishonest/digits", 1)
    noise = Rng.of(0).uniform((64, 3, 32, 32), -1.0, 1.0)
    game.trained.folder.samples.joinpath("000001000.png").write_bytes(png_grid(noise))
    found = LastPictures().of(game)
    assert isinstance(found, Pictures)
    (png,) = found.png.values()
    assert len(png) <= 8000
    assert _pixels(png).shape[2] == 3


def test_another_seed_has_none_and_a_run_without_samples_is_refused(tmp_path: Path) -> None:
    (game,) = _games(tmp_path, "dishonest/digits", 1)
    for measure in (PointsOverRounds(seed=8), LastPictures(seed=8), RealPoints(seed=8)):
        assert measure.of(game) is None
    for kept in (PointsOverRounds(seed=7), LastPictures()):
        with pytest.raises(UsageError, match="kept no"):
            kept.of(replace(game))


def _pixels(png: str) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(base64.b64decode(png))) as opened:
        return np.asarray(opened)
