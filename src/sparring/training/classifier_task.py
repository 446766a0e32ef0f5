"""A classifier as the trainer sees it: rounds, and measures with and without attack."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from sparring.classifier.state import ClassifierState
from sparring.classifier.step import train_step
from sparring.core.non_finite import first_non_finite
from sparring.core.step_log import StepLog
from sparring.data import Source
from sparring.monitoring.classifier_metrics import ClassifierMetrics
from sparring.monitoring.collapse_metrics import ClassifierCollapseMetrics
from sparring.recipes import ClassifierRecipe
from sparring.runs.folder import RunFolder
from sparring.runs.schema import MetricValue
from sparring.training.task import Task


class ClassifierTask(Task):
    """A classifier in training with everything that is measured of it.

    Args:
        classifier: the classifier in training.
    """

    remedy: ClassVar[str] = "train again with a lower learning rate"

    def __init__(self, classifier: ClassifierState) -> None:
        self.classifier = classifier
        self.measures = ClassifierMetrics(
            classifier.recipe.trained_against, classifier.recipe.seed, classifier.source, classifier.device
        )
        self._collapse = ClassifierCollapseMetrics(classifier)

    @property
    def recipe(self) -> ClassifierRecipe:
        return self.classifier.recipe

    @property
    def source(self) -> Source:
        return self.classifier.source

    @property
    def log(self) -> StepLog:
        return self.classifier.log

    def play(self, step: int) -> None:
        train_step(self.classifier, step)

    def state(self) -> dict[str, Tensor]:
        return self.classifier.state()

    def locate(self, step: int) -> str | None:
        optimizers = {"classifier": self.classifier.optimizer}
        return first_non_finite({"classifier": self.classifier.network}, optimizers, lambda: self.play(step))

    def remarks(self) -> list[str]:
        return self.recipe.attack.remarks()

    def measure(self, done: int) -> dict[str, Any]:
        return self.measures.measure(self.classifier.network, self.classifier.classify, done)

    def collapse_metrics(self, done: int) -> dict[str, Any]:
        return dict(self._collapse.measure())

    def metrics(self, rows: list[dict[str, Any]], *, complete: bool) -> dict[str, MetricValue]:
        """The last numbers, and those of the round of the highest robust accuracy, as early stopping would take it."""
        measured = [row for row in rows if self.measures.protocols().keys() <= row.keys()]
        if not measured:
            return {}
        best = max(measured, key=lambda row: float(row["robust_accuracy_test"]))
        note = (
            f"; at round {best['step']:,}, the best of {len(measured)} measurements by robust_accuracy_test, "
            "chosen on these very samples"
        )
        found = {f"{name}_best": entry for name, entry in self.measures.values(best, note).items()}
        return self.measures.values(measured[-1]) | found

    @property
    def picture_every(self) -> int:
        return 0

    def save_pictures(self, run: RunFolder, done: int) -> None:
        """A classifier draws nothing."""
