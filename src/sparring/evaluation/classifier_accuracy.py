"""A trained classifier measured afresh: accuracy with and without attack, and local Lipschitz values."""

from __future__ import annotations

from pathlib import Path

from sparring.gan.load import load_classifier
from sparring.monitoring.classifier_metrics import ClassifierMeasures
from sparring.runs.environment import choose_device
from sparring.runs.folder import RunFolder
from sparring.runs.schema import Evaluation


def evaluate_classifier(path: Path, *, samples: int, seed: int = 0, device: str = "auto") -> Evaluation:
    """Measure the classifier of a run's newest checkpoint.

    Args:
        path: the run folder.
        samples: held-out ones at most, and as many training ones.
        seed: number of the attack's stream.
        device: where to measure.

    Raises:
        UsageError: the run is a game, or has no checkpoint.
        CorruptInput: no checkpoint is sound.
        NonFinite: a logit or a gradient is not finite.
    """
    loaded, place = load_classifier(RunFolder.open(path), device), choose_device(device)
    recipe = loaded.recipe
    measures = ClassifierMeasures(recipe.trained_against, recipe.seed, loaded.data(), place, samples=samples)
    numbers = measures.measure(loaded.network, loaded.classify, seed)
    return Evaluation(step=loaded.step, metrics=measures.entries(numbers), problems=tuple(loaded.problems))
