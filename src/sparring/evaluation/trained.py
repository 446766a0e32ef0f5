"""What a trained run can be asked for: fresh measures, samples, and whether its files are sound."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from sparring.core.errors import UsageError
from sparring.core.files import write_whole
from sparring.core.randomness import Rng
from sparring.data import Batch, is_store
from sparring.data import verify as verify_store
from sparring.evaluation.classifier_accuracy import evaluate_classifier
from sparring.evaluation.discriminator import steepness
from sparring.evaluation.lipschitz_bound import lipschitz_bound
from sparring.gan.load import load_gan
from sparring.monitoring.gallery import png_grid, png_points
from sparring.monitoring.generator_metrics import Measures
from sparring.monitoring.summary import final_numbers
from sparring.networks import Extractor, spread
from sparring.recipes import ClassifierRecipe
from sparring.runs.folder import RunFolder
from sparring.runs.schema import Evaluation, MetricValue

STEEPNESS_AT = 512
"""Samples a side at which slopes are measured."""
EVALUATED = 10_000
"""Samples a game, unless asked for another number."""
_SLOPES = "slopes of D's score in L2, eval mode, samples as D sees them"
_NO_METRIC = (
    "no measure of G applies to these data; of images without labels, name who looks at them: "
    "--extractor '{name: inception, weights: FILE}'"
)


def evaluate_generator(
    path: Path,
    *,
    samples: int = EVALUATED,
    extractor: Extractor | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Evaluation:
    """Measure the generator of a run's newest checkpoint on fresh samples.

    Args:
        path: the run folder.
        samples: samples a game; so many real images at most are compared with them.
        extractor: in whose features images are compared; None takes the recipe's.
        seed: number of the latents' stream; training never draws from it.
        device: where to measure.

    Returns:
        Every metric that applies to the data; that none applies is among the problems.

    Raises:
        UsageError: no run, no checkpoint, or no weights of the extractor.
        CorruptInput: no checkpoint is sound, or the extractor's weights are not what they should be.
        NonFinite: a sample is not finite.
    """
    loaded = load_gan(RunFolder.open(path), device)
    source = loaded.data()
    recipe = loaded.recipe.model_copy(update={"extractor": extractor or loaded.recipe.extractor})
    measures = Measures(recipe, source, loaded.streams.device, samples=samples)
    drawn = loaded.draw(samples, "evaluate", seed).samples
    row = measures.measure(drawn, packed=bool(loaded.recipe.lead))
    problems = (*loaded.problems, *(() if measures.metrics else (_NO_METRIC,)))
    return Evaluation(step=loaded.step, metrics=final_numbers(row, measures), problems=problems)


def evaluate(
    path: Path,
    *,
    samples: int = EVALUATED,
    extractor: Extractor | None = None,
    seed: int = 0,
    device: str = "auto",
) -> Evaluation:
    """Measure the newest checkpoint: `evaluate_generator`, then `evaluate_discriminator`; or `evaluate_classifier`."""
    if isinstance(RunFolder.open(path).recipe(), ClassifierRecipe):
        return evaluate_classifier(path, samples=samples, seed=seed, device=device)
    generator = evaluate_generator(path, samples=samples, extractor=extractor, seed=seed, device=device)
    discriminator = evaluate_discriminator(path, seed=seed, device=device)
    problems = tuple(dict.fromkeys((*generator.problems, *discriminator.problems)))
    return Evaluation(step=generator.step, metrics=generator.metrics | discriminator.metrics, problems=problems)


def evaluate_discriminator(path: Path, *, seed: int = 0, device: str = "auto") -> Evaluation:
    """Measure how steep the discriminator of a run's newest checkpoint is, on real and freshly generated samples.

    Args:
        path: the run folder.
        seed: number of the latents' stream.
        device: where to measure.

    Returns:
        Slopes and a Lipschitz bound; without a bound, a problem names the operation of D whose norm is not known.

    Raises:
        UsageError: no run, or no checkpoint.
        CorruptInput: no checkpoint is sound.
        NonFinite: a sample is not finite.
    """
    loaded = load_gan(RunFolder.open(path), device)
    lead, source = loaded.recipe.lead, loaded.data()
    real = source.held_out(STEEPNESS_AT, rng=Rng.of(0, loaded.streams.device)).samples
    fake = loaded.draw(len(real), "evaluate", seed).samples
    network, problems, metrics = loaded.networks.discriminator, list(loaded.problems), {}
    try:
        bounds = lipschitz_bound(network, tuple(real.shape[1:]), lead).reshape(-1).tolist()
        metrics["lipschitz_bound"] = _entry(bounds, f"{_SLOPES}, for all inputs: by the norms of D's layers", lead)
    except UsageError as error:
        problems.append(error.cause)
    found = steepness(network, real.expand(*lead, *real.shape), fake, lead)
    columns = {
        "gradient_norm_real": [each.real.mean for each in found],
        "gradient_norm_real_max": [each.real.max for each in found],
        "gradient_norm_fake": [each.fake.mean for each in found],
        "gradient_norm_fake_max": [each.fake.max for each in found],
        "steepest_pair": [each.steepest_pair for each in found],
    }
    counts = f"{len(real)} {source.facts.evaluated_on} and {len(real)} generated samples"
    protocol = f"{_SLOPES}: gradients at {counts}; all pairs of these"
    metrics |= {name: _entry(values, protocol, lead) for name, values in columns.items()}
    return Evaluation(step=loaded.step, metrics=metrics, problems=tuple(problems))


def write_samples(path: Path, out: Path, *, count: int, seed: int, device: str = "auto") -> dict[str, Any]:
    """Draw samples from a run's newest checkpoint into a picture or an array file; the data are not needed.

    Args:
        path: the run folder.
        out: a .png (a grid of images, or a scatter of points), or an .npz with `samples (*games, count, ...)`, and
            `labels` where G is told classes. Every class comes equally often, in order.
        count: samples a game.
        seed: number of the latents' stream.
        device: where to sample.

    Returns:
        {"out", "samples", "step", "problems"}.

    Raises:
        UsageError: another ending, a folder that is not there, no checkpoint, or samples that have no picture.
        NonFinite: a sample is not finite.
        StorageError: the disk refused.
    """
    write = {".png": _picture, ".npz": _arrays}.get(out.suffix)
    if write is None:
        raise UsageError(f"{out}: should end in .png or .npz", "choose one of the two")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"{out}: there is no folder {out.parent}", "make it, or choose another --out")
    loaded = load_gan(RunFolder.open(path), device)
    lead = len(loaded.recipe.lead)
    batch = loaded.draw(count, "sample", seed, spread(count, loaded.networks.space.classes))
    write_whole(out, write(batch, lead))
    drawn = batch.samples.shape[: lead + 1].numel()
    return {"out": str(out), "samples": drawn, "step": loaded.step, "problems": list(loaded.problems)}


def verify(path: Path) -> list[str]:
    """Check every checksum of a run's checkpoints and the rows of its log, or of a prepared store.

    Returns:
        What is sound.

    Raises:
        UsageError: neither a run nor a store.
        CorruptInput: what is damaged.
    """
    if is_store(path):
        return [str(path / split) for split in verify_store(path).splits]
    run = RunFolder.open(path)
    run.recipe()
    checked = [f"{run.rows_path} ({len(run.rows())} rows)"]
    for folder in run.saved():
        run.read(folder)
        checked.append(str(folder))
    return checked


def _entry(values: list[float], protocol: str, lead: tuple[int, ...]) -> MetricValue:
    return MetricValue(value=tuple(values) if lead else values[0], protocol=protocol)


def _picture(batch: Batch, lead: int) -> bytes:
    samples = batch.samples
    if samples.dim() - lead - 1 == 3:
        return png_grid(samples.flatten(0, lead))
    if samples.shape[-1] == 2:
        return png_points(samples.flatten(0, lead))
    raise UsageError(f"samples of shape {tuple(samples.shape[lead + 1 :])} have no picture", "write an .npz instead")


def _arrays(batch: Batch, _lead: int) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **{name: each.cpu().numpy() for name, each in batch._asdict().items() if each is not None})
    return out.getvalue()
