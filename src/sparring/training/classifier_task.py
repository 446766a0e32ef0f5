"""The training of a classifier: rounds, and metrics with and without attack."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from sparring.classifier.state import ClassifierState
from sparring.classifier.step import train_step
from sparring.core.descent import first_non_finite
from sparring.monitoring.classifier_metrics import ClassifierMetrics
from sparring.monitoring.collapse_metrics import ClassifierCollapseMetrics
from sparring.recipes import ClassifierRecipe
from sparring.runs.schema import MetricValue
from sparring.training.task import Task


class ClassifierTask(Task):
    """A classifier with all that is measured of it.

    Args:
        classifier: the state of the classifier.
    """

    remedy: ClassVar[str] = "train again with a lower learning rate"
    recipe: ClassifierRecipe
    picture_every = 0

    def __init__(self, classifier: ClassifierState) -> None:
        recipe, source = classifier.recipe, classifier.source
        self.classifier, self.recipe, self.source, self.log = classifier, recipe, source, classifier.log
        self.measures = ClassifierMetrics(recipe.trained_against, recipe.seed, source, classifier.device)
        self._collapse = ClassifierCollapseMetrics(classifier)

    def train_round(self, step: int) -> None:
        train_step(self.classifier, step)

    def state(self) -> dict[str, Tensor]:
        return self.classifier.state()

    def locate(self, step: int) -> str | None:
        optimizers = {"classifier": self.classifier.optimizer}
        return first_non_finite({"classifier": self.classifier.network}, optimizers, lambda: self.train_round(step))

    def remarks(self) -> list[str]:
        return self.recipe.attack.remarks()

    def measure(self, done: int) -> dict[str, Any]:
        return self.measures.measure(self.classifier.network, self.classifier.classify, done)

    def collapse_metrics(self, done: int) -> dict[str, Any]:
        return self._collapse.measure()

    def metrics(self, rows: list[dict[str, Any]], *, complete: bool) -> dict[str, MetricValue]:
        """The last metrics, and those of the round with the highest robust accuracy (early stopping)."""
        measured = [row for row in rows if self.measures.protocols().keys() <= row.keys()]
        if not measured:
            return {}
        best = max(measured, key=lambda row: float(row["robust_accuracy_test"]))
        note = (
            f"; at round {best['step']:,}, the best of {len(measured)} measurements by robust_accuracy_test, "
            "chosen on the same samples"
        )
        at_best = {f"{name}_best": entry for name, entry in self.measures.values(best, note).items()}
        return self.measures.values(measured[-1]) | at_best
