"""Games on a line: D's curve, both densities, and the gradient that G is given where its samples lie.

Source: course notes, figures 1 and 2.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from sparring.claims.measures.base import Measure
from sparring.claims.values import PlayedGame, SampledCurve, Value
from sparring.core.errors import UsageError
from sparring.core.pieces import piece
from sparring.core.records import Every
from sparring.report.line_drawing import LINE_ARRAYS, LinePicture, line_of
from sparring.report.read import load_arrays

Floats = npt.NDArray[np.float64]


@piece("line_curve")
class LineCurve(Measure):
    """A curve over the places of the line at one round: D's probability, its score, or a density.

    Args:
        curve: which.
        at: the round; the nearest picture that was saved.
    """

    curve: Literal["probability", "score", "real", "generated"]
    at: Every

    def of(self, game: PlayedGame) -> Value:
        line = picture_at(game, self.at)
        middles = (line.edges[1:] + line.edges[:-1]) / 2
        x, y = {
            "probability": (line.places, 1 / (1 + np.exp(-line.score.clip(-500, 500)))),
            "score": (line.places, line.score),
            "real": (middles, line.real),
            "generated": (middles, line.generated),
        }[self.curve]
        return SampledCurve(x=_short(x), y=_short(y))


@piece("generator_signal")
class GeneratorSignal(Measure):
    """mean |d payoff of G / dx| over generated samples at one round.

    Args:
        at: the round; the nearest picture that was saved.
    """

    at: Every

    def of(self, game: PlayedGame) -> Value:
        return float(np.abs(picture_at(game, self.at).gradient).mean())


@piece("generator_direction")
class GeneratorDirection(Measure):
    """The share of generated samples whose gradient points to the mean of the real ones, at one round.

    Args:
        at: the round; the nearest picture that was saved.
    """

    at: Every

    def of(self, game: PlayedGame) -> Value:
        line = picture_at(game, self.at)
        middles = (line.edges[1:] + line.edges[:-1]) / 2
        mean = float((middles * line.real).sum() / line.real.sum())
        return float((line.gradient * (mean - line.starts) > 0).mean())


def picture_at(game: PlayedGame, at: int) -> LinePicture:
    """The picture of the nearest round.

    Raises:
        UsageError: the run saved none.
    """
    files = sorted(game.trained.folder.samples.glob("*.npz"), key=lambda file: abs(int(file.stem) - at))
    arrays = load_arrays(files[0], LINE_ARRAYS) if files else None
    if arrays is None:
        raise UsageError(f"{game.trained.name}: has no pictures of a line", "set sample_every above 0")
    return line_of(arrays, game.index)


def _short(values: Floats) -> tuple[float, ...]:
    return tuple(float(f"{value:.5g}") for value in values)
