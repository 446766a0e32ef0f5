"""The networks that look at generated images, and what they see in real ones: made once for each data set, and cached.

The classifier is trained by the tool. Source: Xu, Li, Jegelka, appendix B.2.3, which uses one without saying which.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from sparring.classifier.step import fit
from sparring.core.eager_optimizers import EagerAdamW
from sparring.core.process import SILENT, Progress
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import IMAGE_BOUNDS, FeaturesAndLogits, expand_like
from sparring.data import Facts, Source
from sparring.metrics import Moments, RealFeatures, ReferenceClassifier, moments
from sparring.networks import (
    ClassifierModule,
    FrozenClassifier,
    SmallCNN,
    SmallResNet,
    TrainingSettings,
    weights_sha256,
)
from sparring.runs.caching import cached, entry
from sparring.runs.checkpoint import Checkpoint
from sparring.runs.tensors import fill

BATCH_SIZE = 100
HELD_OUT = 10_000
"""Samples, at most, that the classifier's accuracy is measured on."""
SEED = 0
"""Of everything that is drawn here."""
_AT_ONCE = 2048
"""Images of a training split in memory at once."""
_EPOCHS = 100
"""Of a classifier's training, at most: a bound for fewer than 1,200 grey or 3,000 colour images."""
_VERSION = 4
TRAINING = "training the judge of this data set, once"
LOOKING = "looking at real images, once"
"""What the preparation of a data set tells of its parts."""


def is_image_data(facts: Facts) -> bool:
    """Whether samples are images of a range and a size that networks can look at."""
    return len(facts.shape) == 3 and facts.bounds == IMAGE_BOUNDS and min(facts.shape[1:]) >= 4


def classifier_for(source: Source, device: torch.device, progress: Progress = SILENT) -> FrozenClassifier | None:
    """A classifier of images of two or more classes, from the cache or trained now; None for other data.

    Args:
        source: the data.
        device: to train on.
        progress: counts the batches of the training.
    """
    facts = source.facts
    if len(facts.classes) < 2 or not is_image_data(facts):
        return None
    spec, whole = _classifier(facts), source.whole()
    settings = _settings(spec.training, whole.facts.count)
    key = f"{_VERSION}/{facts.fingerprint}/{facts.shape}/{spec.model_dump_json()}/{settings}"

    def build() -> ClassifierModule:
        return spec.build(facts.space, (), rng=Streams(SEED).rng("init/classifier")).to(device)

    def make() -> Checkpoint:
        network = build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        _train(network, settings, whole, device, progress.part(TRAINING))
        accuracy = _accuracy(FrozenClassifier(network, spec.name, "", device), source, device)
        tensors = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
        return Checkpoint(tensors, {"accuracy": accuracy})

    def use(saved: Checkpoint) -> FrozenClassifier:
        network = build()
        fill(network, saved.tensors)
        accuracy = 100 * saved.state["accuracy"]
        name = f"{spec.name} trained here, {accuracy:.1f} % right on {facts.evaluated_on} data"
        return FrozenClassifier(network, name, weights_sha256(network), device)

    return cached(entry("classifiers", key) if facts.fingerprint else None, make, use)


def real_features(
    source: Source, extractor: ReferenceClassifier, count: int, device: torch.device, progress: Progress = SILENT
) -> RealFeatures:
    """What the extractor sees in at most `count` real images and in as many others, from the cache or looked at now.

    Args:
        source: the data.
        extractor: of the features.
        count: images in each of the two sets, at most.
        device: where images are wanted.
        progress: counts the images.
    """
    facts = source.facts
    key = f"{_VERSION}/{facts.fingerprint}/{facts.shape}/{extractor.sha256}/{count}"

    def make() -> Checkpoint:
        halves = source.whole().halves(count, rng=Rng.of(SEED, device))
        parts = torch.split(halves.reference, _AT_ONCE), torch.split(halves.other, _AT_ONCE)
        images = _counted(itertools.chain(*parts), len(halves.reference) + len(halves.other), progress.part(LOOKING))
        views = [extractor.extract(part) for part in images]
        seen = {"reference": views[: len(parts[0])], "other": views[len(parts[0]) :]}
        tensors = {
            f"{half}/{what}": torch.cat([getattr(view, what) for view in views]).cpu()
            for half, views in seen.items()
            for what in FeaturesAndLogits._fields
        }
        return Checkpoint(tensors, {"origin": f"{halves.origin}, seed {SEED}"})

    def use(saved: Checkpoint) -> RealFeatures:
        reference, other = (
            FeaturesAndLogits(saved.tensors[f"{half}/features"], saved.tensors[f"{half}/logits"])
            for half in ("reference", "other")
        )
        return RealFeatures(extractor, reference, other, saved.state["origin"])

    return cached(entry("features", key) if facts.fingerprint else None, make, use)


def training_moments(source: Source, extractor: ReferenceClassifier, progress: Progress = SILENT) -> Moments:
    """Mean and covariance of what the extractor sees in all training images, from the cache or looked at now.

    Args:
        source: the data.
        extractor: of the features.
        progress: counts the images.
    """
    facts = source.facts
    key = f"{_VERSION}/{facts.fingerprint}/{facts.shape}/{extractor.sha256}/training"

    def make() -> Checkpoint:
        whole = source.whole()
        parts = _counted(whole.training_parts(_AT_ONCE), whole.facts.count, progress.part(LOOKING))
        seen = moments(extractor.extract(part).features for part in parts)
        return Checkpoint({"mean": seen.mean, "covariance": seen.covariance}, {"count": seen.count})

    def use(saved: Checkpoint) -> Moments:
        return Moments(saved.tensors["mean"], saved.tensors["covariance"], saved.state["count"])

    return cached(entry("moments", key) if facts.fingerprint else None, make, use)


def _classifier(facts: Facts) -> SmallCNN | SmallResNet:
    """The classifier that is good enough on these images: grey ones are easier than colour."""
    fits_resnet = facts.shape[0] > 1 and min(facts.shape[1:]) >= 8
    return SmallResNet() if fits_resnet else SmallCNN()


def _settings(settings: TrainingSettings, count: int) -> TrainingSettings:
    """The settings for so many images, 0 where they are drawn without end."""
    seen = min(settings.images_seen, _EPOCHS * count) if count else settings.images_seen
    return settings._replace(images_seen=seen)


def _counted(parts: Iterable[Tensor], count: int, progress: Progress) -> Iterator[Tensor]:
    """Parts of `count` images, counted as they are asked for."""
    seen = 0
    progress.advance(seen, count)
    for part in parts:
        yield part
        seen += len(part)
        progress.advance(seen, count)


def _train(
    network: nn.Module, settings: TrainingSettings, source: Source, device: torch.device, progress: Progress
) -> None:
    """AdamW on varied batches; the rate rises over the first fifth of the rounds and falls to zero over the others."""
    streams = Streams(SEED, None, device)
    rounds = settings.images_seen // BATCH_SIZE
    optimizer = EagerAdamW(network.parameters(), lr=settings.rate, weight_decay=0.05)
    scheduler = LambdaLR(optimizer, lambda number: min(number / rounds / 0.2, (1 - number / rounds) / 0.8))

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for number in range(rounds):
            batch = source.batch(number, BATCH_SIZE, streams)
            assert batch.labels is not None
            yield _varied(batch.samples, settings, rng=streams.rng("schooling", number)), batch.labels
            scheduler.step()
            progress.advance(number + 1, rounds)

    fit(network, batches(), optimizer)


def _varied(images: Tensor, settings: TrainingSettings, *, rng: Rng) -> Tensor:
    """The batch moved by a random number of pixels, and a random share of it mirrored."""
    height, width = images.shape[-2:]
    down, right = rng.integers((2,), 2 * settings.shift + 1).tolist()
    moved = F.pad(images, (settings.shift,) * 4)[..., down : down + height, right : right + width]
    mirrored = rng.uniform((len(images),)) < settings.mirrored
    varied = torch.where(expand_like(mirrored, moved), moved.flip(-1), moved)
    return varied.contiguous(memory_format=torch.channels_last)


def _accuracy(network: FrozenClassifier, source: Source, device: torch.device) -> float:
    test = source.held_out(HELD_OUT, rng=Rng.of(SEED, device))
    assert test.labels is not None
    return float((network.extract(test.samples).logits.argmax(dim=1) == test.labels).float().mean())
