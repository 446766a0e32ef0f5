"""The quality of a trained generator's samples."""

from __future__ import annotations

from pathlib import Path

from sparring.evaluation.result import Evaluation
from sparring.gan.load import load_gan
from sparring.monitoring.generator_metrics import GeneratorMetrics
from sparring.networks import Extractor
from sparring.runs.folder import RunFolder

SAMPLES = 10_000
"""Samples per game, by default."""
_NO_METRIC = (
    "no metric of G applies to these data; for images without labels, name a feature extractor: "
    "--extractor '{name: inception, weights: FILE}'"
)


def evaluate_generator(
    path: Path,
    *,
    samples: int = SAMPLES,
    extractor: Extractor | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Evaluation:
    """Measure the generator of a run's newest checkpoint on fresh samples.

    Args:
        path: the run folder.
        samples: generated samples per game; they are compared with at most as many real images.
        extractor: of the features in which images are compared; None takes the recipe's.
        seed: number of the latents' stream; training never draws from it.
        device: where to measure.

    Returns:
        Every metric that applies to the data; a problem says if none does.

    Raises:
        UsageError: no run, no checkpoint, or no weights of the extractor.
        CorruptInput: no checkpoint can be read, or the extractor's weights have another hash.
        NonFinite: a sample is not finite.
    """
    loaded = load_gan(RunFolder.open(path), device)
    source = loaded.data()
    recipe = loaded.recipe.model_copy(update={"extractor": extractor or loaded.recipe.extractor})
    metrics = GeneratorMetrics(recipe, source, loaded.streams.device, samples=samples)
    drawn = loaded.draw(samples, "evaluate", seed).samples
    row = metrics.measure(drawn, packed=bool(loaded.recipe.lead))
    problems = (*loaded.problems, *(() if metrics.metrics else (_NO_METRIC,)))
    return Evaluation(step=loaded.step, metrics=metrics.values(row), problems=problems)
