"""A run's newest checkpoint in numbers: the generator and the discriminator of a GAN, or a classifier."""

from __future__ import annotations

from pathlib import Path

from sparring.classifier.load import load_classifier
from sparring.core.errors import UsageError
from sparring.core.process import SILENT, Progress
from sparring.evaluation.discriminator import measure_discriminator
from sparring.gan.load import load_gan
from sparring.gan.sampling import draw
from sparring.monitoring.classifier_metrics import ClassifierMetrics
from sparring.monitoring.generator_metrics import NO_FEATURES, GeneratorMetrics
from sparring.monitoring.run_verdict import RunEnd, run_verdict
from sparring.networks import Extractor
from sparring.recipes import ClassifierRecipe
from sparring.runs.environment import choose_device
from sparring.runs.folder import RunFolder
from sparring.runs.schema import MetricValue
from sparring.runs.stored_record import StoredRecord


class Evaluation(StoredRecord):
    """The networks of a checkpoint, measured again.

    Args:
        step: the round of the checkpoint.
        verdict: what the checkpoint reaches, in one sentence.
        metrics: by name.
        problems: newer checkpoints that could not be read, and what could not be measured.
    """

    step: int
    verdict: str
    metrics: dict[str, MetricValue]
    problems: tuple[str, ...]


def evaluate(
    path: Path,
    *,
    samples: int = 10_000,
    extractor: Extractor | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = SILENT,
) -> Evaluation:
    """Measure a run's newest checkpoint again.

    Of a GAN: the quality of fresh samples, slopes of D and a Lipschitz bound.
    Of a classifier: accuracy with and without attack, and local Lipschitz values.

    Args:
        path: the run folder.
        samples: generated samples per game, compared with at most as many real images; of a classifier held-out
            samples at most, and as many training samples.
        extractor: of the features in which images are compared; None takes the recipe's.
        seed: number of the stream of latents, from which training never draws, or of a classifier's attack.
        device: where to measure.
        progress: of the preparation, where the data are looked at for the first time.

    Returns:
        Every metric that applies to the data; problems name what could not be measured.

    Raises:
        UsageError: no run, no checkpoint, or no weights of the extractor.
        CorruptInput: no checkpoint can be read, or the extractor's weights have another hash.
        NonFinite: a sample, a logit or a gradient is not finite.
    """
    run = RunFolder.open(path)
    if isinstance(run.recipe(), ClassifierRecipe):
        if extractor is not None:
            raise UsageError(f"{path}: trains a classifier, and generates no images", "leave the extractor out")
        return _classifier(run, samples, seed, device)
    return _gan(run, samples, extractor, seed, device, progress)


def _gan(
    run: RunFolder, samples: int, extractor: Extractor | None, seed: int, device: str, progress: Progress
) -> Evaluation:
    loaded = load_gan(run, device)
    source = loaded.data()
    recipe = loaded.recipe.model_copy(update={"extractor": extractor or loaded.recipe.extractor})
    quality = GeneratorMetrics(recipe, source, loaded.streams.device, samples=samples, progress=progress)
    drawn = draw(loaded, samples, "evaluate", seed).samples
    diverged = loaded.diverged.games
    metrics = quality.values(quality.measure(drawn, diverged), quality.intervals(drawn, diverged))
    problems = (*loaded.problems, *((NO_FEATURES,) if quality.lacks_features else ()))
    slopes, unknown = measure_discriminator(loaded, source, seed)
    verdict = run_verdict(RunEnd(recipe, source.facts, metrics, loaded.step, loaded.step))
    return Evaluation(step=loaded.step, verdict=verdict, metrics=metrics | slopes, problems=(*problems, *unknown))


def _classifier(run: RunFolder, samples: int, seed: int, device: str) -> Evaluation:
    loaded, place = load_classifier(run, device), choose_device(device)
    recipe = loaded.recipe
    source = loaded.data()
    measures = ClassifierMetrics(recipe.trained_against, recipe.seed, source, place, samples=samples)
    metrics = measures.values(measures.measure(loaded.network, loaded.classify, seed))
    end = RunEnd(recipe, source.facts, metrics, loaded.step, loaded.step, evaluated_on=measures.evaluated_on)
    return Evaluation(step=loaded.step, verdict=run_verdict(end), metrics=metrics, problems=loaded.problems)
