"""An objective and a logger in a package of their own, which recipes and commands find by name once it is installed."""

import torch

from sparring.core.pieces import piece
from sparring.core.records import Positive
from sparring.core.shapes import Scores
from sparring.loggers import LoggedRun, Row, curves
from sparring.objectives import ZeroSum


@piece("arctan")
class Arctan(ZeroSum):
    """f(s) = scale arctan(s / width) on raw scores: odd, with heavier tails than tanh."""

    scale: Positive = 1.0
    width: Positive = 4.0

    def payoff(self, score: Scores) -> Scores:
        return self.scale * torch.atan(score / self.width)


class TextLog:
    """log.txt in the run folder: a line a row."""

    def __init__(self, run: LoggedRun) -> None:
        self._file = open(run.path / "log.txt", "a", encoding="utf-8")  # noqa: SIM115  closed by `close`

    def write(self, row: Row) -> None:
        self._file.write(f"round {row['step']}: {curves(row)}\n")

    def close(self) -> None:
        self._file.close()
