"""Runs measured by the protocol of a published figure: as many samples, the same reference, the same aggregation.

Source: Salimans et al. 2016, section 4 (inception score); Heusel et al. 2017, equation (6) (Fréchet distance).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch

from sparring.core.errors import UsageError
from sparring.core.process import SILENT, Progress
from sparring.core.randomness import Rng
from sparring.core.shapes import FeaturesAndLogits
from sparring.evaluation.aggregation import best, last_epochs, listed
from sparring.evaluation.protocols import PublishedProtocol
from sparring.gan.load import LoadedGAN, load_gan
from sparring.gan.sampling import draw
from sparring.metrics import FrechetTo, frechet_interval, inception_score, moments
from sparring.metrics.moments import RESAMPLES
from sparring.monitoring.generator_metrics import measured_generator
from sparring.monitoring.reference_networks import classifier_for, training_moments
from sparring.networks import Extractor, FrozenClassifier, InceptionFeatures
from sparring.runs.folder import RunFolder
from sparring.runs.schema import MetricValue
from sparring.runs.stored_record import StoredRecord

AT_ONCE = 2048
"""Generated images in memory at once."""


class PublishedFigure(StoredRecord):
    """Runs under a published protocol.

    Args:
        protocol: its name.
        figure: what was published under it.
        steps: the round of the checkpoint that was measured, by run.
        metrics: by name; with several games or runs, one number for each, in order.
        problems: newer checkpoints that could not be read, games that diverged and have no numbers, and what is not as
            published.
    """

    protocol: str
    figure: str
    steps: dict[str, int]
    metrics: dict[str, MetricValue]
    problems: tuple[str, ...]


def measure_figure(
    paths: Sequence[Path],
    protocol: PublishedProtocol,
    *,
    extractor: Extractor | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = SILENT,
) -> PublishedFigure:
    """Measure the newest checkpoints of runs as a published figure was measured.

    Args:
        paths: run folders. A protocol that needs no real image does not open their data.
        protocol: counts, splits, reference and aggregation.
        extractor: of features and classes; None takes the recipe's Inception-v3, or the default file of its weights.
        seed: number of the latents' stream.
        device: where to measure.
        progress: of the generated images.

    Raises:
        UsageError: no run, no checkpoint, no images, or no weights of the extractor.
        CorruptInput: no checkpoint can be read, or the extractor's weights have another hash.
        NonFinite: a sample or a feature is not finite.
    """
    runs = [load_gan(RunFolder.open(path), device) for path in paths]
    games, problems = [], [problem for run in runs for problem in run.problems]
    for loaded in runs:
        own = loaded.recipe.extractor
        chosen = extractor or (own if own.name == InceptionFeatures.name else InceptionFeatures())
        network = _network(loaded, protocol, chosen, progress)
        games += _measured(loaded, network, protocol, seed, progress)
        if chosen.name != InceptionFeatures.name:
            problems.append(f"published numbers are of Inception-v3, and these of {network.name}: they do not compare")
    if protocol.last_epochs and not all("frechet_distance_last_epochs" in game for game in games):
        problems.append(f"the log of a run measures nothing in the last {protocol.last_epochs} epochs: evaluate_every")
    metrics = listed(games)
    return PublishedFigure(
        protocol=protocol.name,
        figure=protocol.figure,
        steps={str(loaded.path): loaded.step for loaded in runs},
        metrics=metrics | (best(metrics, protocol.best_of) if protocol.best_of > 1 else {}),
        problems=tuple(dict.fromkeys(problems)),
    )


def _network(
    loaded: LoadedGAN, protocol: PublishedProtocol, extractor: Extractor, progress: Progress
) -> FrozenClassifier:
    """The network that looks at images; data are opened only for a classifier of them."""
    if len(loaded.networks.space.shape) != 3:
        raise UsageError(f"{loaded.path}: not a generator of images", f"protocol {protocol.name} is about images")
    device = loaded.streams.device
    network = extractor.choose(lambda: classifier_for(loaded.data(), device, progress), device)
    if network is None:
        raise UsageError(
            f"{loaded.path}: images of fewer than two classes have no classifier", "name another --extractor"
        )
    return network


def _measured(
    loaded: LoadedGAN, network: FrozenClassifier, protocol: PublishedProtocol, seed: int, progress: Progress
) -> list[dict[str, MetricValue]]:
    """The numbers of every game of a run that has not diverged."""
    games = [game for game in range(loaded.recipe.replicas) if game not in loaded.diverged.since]
    text = (
        f"protocol {protocol.name}: {protocol.generated:,} generated images, {measured_generator(loaded.recipe)}; "
        f"features: {network.name}; images as uint8 rounded half up"
    )
    if protocol.reference == "none":
        seen = (_seen(loaded.game(game), network, protocol.generated, seed, progress) for game in games)
        return [_score(images, protocol, text) for images in seen]
    source = loaded.data()
    real = training_moments(source, network, progress)
    distance = FrechetTo(real)
    against = f"{text}; against all {real.count:,} real images of the training split"
    logged = last_epochs(RunFolder.open(loaded.path), loaded.recipe, source.facts, protocol.last_epochs)
    found = []
    for game in games:
        images = _seen(loaded.game(game), network, protocol.generated, seed, progress)
        found.append(_score(images, protocol, text) | _distance(images, distance, against) | logged[game])
    return found


def _score(images: FeaturesAndLogits, protocol: PublishedProtocol, text: str) -> dict[str, MetricValue]:
    """The inception score, with the standard deviation of Salimans's code, which divides by the number of splits."""
    splits = protocol.splits
    mean, std = inception_score(images.logits, splits=splits)
    text = f"{text}; {splits} splits, shuffled; population standard deviation over splits"
    return {
        "inception_score": MetricValue(value=mean, protocol=text),
        "inception_score_std": MetricValue(value=std * math.sqrt((splits - 1) / splits), protocol=text),
    }


def _distance(images: FeaturesAndLogits, distance: FrechetTo, text: str) -> dict[str, MetricValue]:
    return {
        "frechet_distance": MetricValue(
            value=distance(moments([images.features])),
            interval=frechet_interval(images.features, distance, rng=Rng.of(0)),
            protocol=f"{text}; fp64; interval of {RESAMPLES} resamples of the generated images",
        )
    }


def _seen(game: LoadedGAN, network: FrozenClassifier, count: int, seed: int, progress: Progress) -> FeaturesAndLogits:
    """Features and logits of the generated images of one game, which are not kept."""
    parts = []
    for number, first in enumerate(range(0, count, AT_ONCE)):
        drawn = draw(game, min(AT_ONCE, count - first), f"protocol/{seed}", number).samples
        parts.append(network.extract(drawn))
        progress.advance(first + len(drawn), count)
    features, logits = (torch.cat(each).cpu() for each in zip(*parts, strict=True))
    return FeaturesAndLogits(features, logits)
