"""What the training loop needs of a GAN or a classifier."""

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
    """A training with all that is measured of it.

    Attributes:
        remedy: advice if its numbers turn non-finite.
        recipe: of the training.
        source: opened data.
        log: running means of the numbers of rounds.
        picture_every: interval of pictures in rounds; 0 means never.
    """

    remedy: ClassVar[str]
    recipe: TrainingRecipe
    source: Source
    log: StepLog
    picture_every: int

    @abstractmethod
    def train_round(self, step: int) -> None:
        """Run round `step`.

        Raises:
            NotFiniteStep: a loss or a gradient of a single game is not finite.
        """

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """All state, flat, on the CPU."""

    def means(self) -> dict[str, Any]:
        """The means of the numbers of rounds since the last call."""
        return dict(self.log.means())

    @abstractmethod
    def remarks(self) -> list[str]:
        """Remarks for the user before the first round, in addition to the recipe's warnings."""

    @abstractmethod
    def locate(self, step: int) -> str | None:
        """Run a round again that failed with `NotFiniteStep`, and name the first tensor that is not finite."""

    @abstractmethod
    def measure(self, done: int) -> dict[str, Any]:
        """The numbers of an evaluation after `done` rounds, for the log."""

    @abstractmethod
    def collapse_metrics(self, done: int) -> dict[str, Any]:
        """The numbers that alarms depend on, after `done` rounds; changes no state."""

    @abstractmethod
    def metrics(self, rows: list[dict[str, Any]], *, complete: bool) -> dict[str, MetricValue]:
        """The final metrics of the run, for summary.json.

        Args:
            rows: the log.
            complete: whether all rounds are complete.
        """

    def save_pictures(self, run: RunFolder, done: int) -> None:  # noqa: B027
        """Save pictures after `done` rounds."""
