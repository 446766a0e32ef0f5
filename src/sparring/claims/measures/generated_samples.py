"""Generated samples that a run kept: points of the plane over rounds, and pictures of the last round."""

from __future__ import annotations

import base64
import io
import math
from abc import abstractmethod

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from sparring.claims.measures.base import Measure
from sparring.claims.values import Pictures, PlayedGame, Points, Value
from sparring.core.errors import UsageError
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.monitoring.pictures import IMAGES
from sparring.recipes import require_game
from sparring.report.read import load_arrays, load_picture

_DECIMALS = 2
_GAP = 1
"""White pixels around every image of a grid."""
Pixels = npt.NDArray[np.uint8]


class OfOneSeed(Measure):
    """A measure of one seed alone, because its values are large.

    Args:
        seed: of the game; every game has a value without it.
    """

    seed: int | None = None

    def of(self, game: PlayedGame) -> Value:
        return self.of_chosen(game) if self.seed in (None, game.seed) else None

    @abstractmethod
    def of_chosen(self, game: PlayedGame) -> Value:
        """The value of a game of this seed."""


@piece("points")
class PointsOverRounds(OfOneSeed):
    """Generated points of the plane at rounds of equal distances, the last one among them.

    Args:
        points: how many of each round.
        rounds: how many.
    """

    points: Count = 150
    rounds: Count = 5

    def of_chosen(self, game: PlayedGame) -> Points:
        files = sorted(game.trained.folder.samples.glob("*.npz"))
        kept = np.unique(np.linspace(0, len(files) - 1, min(len(files), self.rounds)).round().astype(int))
        found = {int(files[index].stem): load_arrays(files[index], ["points"]) for index in kept}
        whole = {at: arrays["points"][game.index] for at, arrays in found.items() if arrays is not None}
        if not whole:
            raise UsageError(f"{game.trained.name}: kept no points", "train it with sample_every above 0")
        clouds = (each[np.isfinite(each).all(-1)][: self.points] for each in whole.values())
        return Points(at=tuple(map(float, whole)), points=tuple(rounded(cloud) for cloud in clouds))


@piece("real_points")
class RealPoints(OfOneSeed):
    """Held-out samples of the data of a game in the plane.

    Args:
        points: how many.
    """

    points: Count = 150

    def of_chosen(self, game: PlayedGame) -> Points:
        source = game.trained.recipe.data.open(torch.device("cpu"))
        samples = source.held_out(self.points, rng=Rng.of(0)).samples
        return Points(at=(0.0,), points=(rounded(samples.numpy().astype(np.float64)),))


@piece("pictures")
class LastPictures(OfOneSeed):
    """The generated images of the last round that a run kept, as one PNG.

    Args:
        images: how many at most.
        size: of the PNG in base64 at most, in bytes. Images are dropped until it is kept.
    """

    images: Count = 16
    size: Count = 8000

    def of_chosen(self, game: PlayedGame) -> Pictures:
        files = sorted(game.trained.folder.samples.glob("*.png"))
        whole = load_picture(files[-1]) if files else None
        if whole is None:
            raise UsageError(f"{game.trained.name}: kept no pictures", "train it with sample_every above 0")
        games = require_game(game.trained.recipe, game.trained.name).replicas
        each = max(1, IMAGES // games)
        tiles = tiles_of(np.asarray(whole), each * games)[game.index * each :][:each]
        count = min(self.images, each)
        while len(png := grid_of(tiles[:count])) > self.size and count > 1:
            count -= 1
        return Pictures(png={f"round {int(files[-1].stem):,}": png})


def rounded(points: npt.NDArray[np.floating]) -> list[list[float]]:
    """Points `(n, 2)` as lists, with two decimals."""
    return [[round(float(value), _DECIMALS) for value in point] for point in points]


def tiles_of(grid: Pixels, count: int) -> Pixels:
    """The images of a grid that `monitoring.pictures.png_grid` made, at their own size: `(count, height, width, ...)`.

    Args:
        grid: `(rows * tall, columns * wide, ...)`, every image with a white frame of one pixel.
        count: how many images it holds.
    """
    columns = math.ceil(math.sqrt(count))
    tall, wide = grid.shape[0] // math.ceil(count / columns), grid.shape[1] // columns
    cells = [
        grid[row * tall + _GAP : (row + 1) * tall - _GAP, column * wide + _GAP : (column + 1) * wide - _GAP]
        for row, column in (divmod(index, columns) for index in range(count))
    ]
    tiles = np.stack(cells)
    for scale in range(tiles.shape[1], 1, -1):
        if tiles.shape[1] % scale == 0 and tiles.shape[2] % scale == 0:
            small = tiles[:, ::scale, ::scale]
            if np.array_equal(small.repeat(scale, axis=1).repeat(scale, axis=2), tiles):
                return small
    return tiles


def grid_of(tiles: Pixels) -> str:
    """Images `(n, height, width, ...)` side by side in a grid that is nearly square, as a PNG in base64."""
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    frame = ((0, rows * columns - len(tiles)), (0, _GAP), (0, _GAP), *[(0, 0)] * (tiles.ndim - 3))
    padded = np.pad(tiles, frame, constant_values=255)
    tall, wide = padded.shape[1:3]
    grid = padded.reshape(rows, columns, tall, wide, *tiles.shape[3:]).swapaxes(1, 2)
    out = io.BytesIO()
    Image.fromarray(grid.reshape(rows * tall, columns * wide, *tiles.shape[3:])).save(out, format="PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()
