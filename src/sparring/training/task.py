"""What a session trains, round by round: a game, or a classifier. The trainer knows no more of either than this."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from sparring.core.step_log import StepLog
from sparring.data import Source
from sparring.recipes import TrainingRecipe
from sparring.runs.folder import RunFolder
from sparring.runs.schema import MetricValue


class Task(ABC):
    """Everything that is trained, and what is measured and shown of it on the way.

    Attributes:
        remedy: what to do when its numbers turn non-finite.
    """

    remedy: ClassVar[str]

    @property
    @abstractmethod
    def recipe(self) -> TrainingRecipe:
        """What is trained, and for how long."""

    @property
    @abstractmethod
    def source(self) -> Source:
        """Opened data."""

    @property
    @abstractmethod
    def log(self) -> StepLog:
        """Running means of the numbers of rounds."""

    @abstractmethod
    def play(self, step: int) -> None:
        """Run round `step`.

        Raises:
            NotFiniteStep: a loss or a gradient is not finite.
        """

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """All state, flat, on the CPU."""

    @abstractmethod
    def remarks(self) -> list[str]:
        """What a user should know before the first round, beside the recipe's own warnings."""

    @abstractmethod
    def locate(self, step: int) -> str | None:
        """Run a round again that failed with `NotFiniteStep`, and name the first tensor that is not finite."""

    @abstractmethod
    def measure(self, done: int) -> dict[str, Any]:
        """The numbers of an evaluation after `done` rounds, for the log."""

    @abstractmethod
    def collapse_metrics(self, done: int) -> dict[str, Any]:
        """The numbers that alarms are raised by, after `done` rounds; leaves no trace."""

    @abstractmethod
    def metrics(self, rows: list[dict[str, Any]], *, complete: bool) -> dict[str, MetricValue]:
        """The numbers that the run ends with, as summary.json has them.

        Args:
            rows: the log.
            complete: whether all rounds are played.
        """

    @property
    @abstractmethod
    def picture_every(self) -> int:
        """Interval of pictures in rounds; 0 means never."""

    @abstractmethod
    def save_pictures(self, run: RunFolder, done: int) -> None:
        """Save what can be seen after `done` rounds."""
