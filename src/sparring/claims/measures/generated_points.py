"""Points of the plane: generated ones over rounds, from the files that a run keeps, and held-out real ones."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import numpy.typing as npt
import torch

from sparring.claims.measures.base import Measure
from sparring.claims.values import PlayedGame, Points, Value
from sparring.core.errors import UsageError
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.report.read import load_arrays

_DECIMALS = 2


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


def rounded(points: npt.NDArray[np.floating]) -> list[list[float]]:
    """Points `(n, 2)` as lists, with two decimals."""
    return [[round(float(value), _DECIMALS) for value in point] for point in points]
