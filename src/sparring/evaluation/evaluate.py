"""A run's newest checkpoint in numbers: the generator and the discriminator of a GAN, or a classifier."""

from __future__ import annotations

from pathlib import Path

from sparring.classifier.load import load_classifier
from sparring.evaluation.discriminator import evaluate_discriminator
from sparring.evaluation.generator import SAMPLES, evaluate_generator
from sparring.evaluation.result import Evaluation
from sparring.monitoring.classifier_metrics import ClassifierMetrics
from sparring.networks import Extractor
from sparring.recipes import ClassifierRecipe
from sparring.runs.environment import choose_device
from sparring.runs.folder import RunFolder


def evaluate(
    path: Path,
    *,
    samples: int = SAMPLES,
    extractor: Extractor | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Evaluation:
    """`evaluate_generator` and `evaluate_discriminator` of a GAN, or `evaluate_classifier`; arguments are theirs."""
    if isinstance(RunFolder.open(path).recipe(), ClassifierRecipe):
        return evaluate_classifier(path, samples=samples, seed=seed, device=device)
    generator = evaluate_generator(path, samples=samples, extractor=extractor, seed=seed, device=device)
    discriminator = evaluate_discriminator(path, seed=seed, device=device)
    problems = tuple(dict.fromkeys((*generator.problems, *discriminator.problems)))
    return Evaluation(step=generator.step, metrics=generator.metrics | discriminator.metrics, problems=problems)


def evaluate_classifier(path: Path, *, samples: int, seed: int = 0, device: str = "auto") -> Evaluation:
    """Measure a classifier: accuracy with and without attack, and local Lipschitz values.

    Args:
        path: the run folder.
        samples: held-out samples at most, and as many training samples.
        seed: number of the attack's stream.
        device: where to measure.

    Raises:
        UsageError: the run is a GAN, or has no checkpoint.
        CorruptInput: no checkpoint can be read.
        NonFinite: a logit or a gradient is not finite.
    """
    loaded, place = load_classifier(RunFolder.open(path), device), choose_device(device)
    recipe = loaded.recipe
    metrics = ClassifierMetrics(recipe.trained_against, recipe.seed, loaded.data(), place, samples=samples)
    numbers = metrics.measure(loaded.network, loaded.classify, seed)
    return Evaluation(step=loaded.step, metrics=metrics.values(numbers), problems=loaded.problems)
