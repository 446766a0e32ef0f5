"""What the players are made of and measured by: networks, priors, extractors, data sources, metrics."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparring.core.pieces import members
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import IMAGE_BOUNDS, FeaturesAndLogits, Space
from sparring.data import Data
from sparring.metrics import Metric, RealFeatures, Reference
from sparring.networks import (
    Classifier,
    ClassifierModule,
    Discriminator,
    Extractor,
    FrozenClassifier,
    Generator,
    Head,
    Prior,
    SmallCNN,
)
from sparring.networks.initial import Init

_SPACE = Space((1, 32, 32), IMAGE_BOUNDS, 3)
_IMAGES = Rng.of(4).uniform((4, 1, 32, 32), -1.0, 1.0)


def _check_weights(network: Generator | Discriminator | Classifier) -> None:
    state = torch.random.get_rng_state()
    first, second = (network.build(_SPACE, (), rng=Rng.of(3)) for _ in range(2))
    assert torch.equal(state, torch.random.get_rng_state()), "no global random state is used"
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs), "the weights are a function of the stream"
    assert all(parameter.isfinite().all() for parameter in first.parameters())


def check_generator(generator: Generator) -> None:
    """The contract of a generator: shapes, range, codes, classes."""
    _check_weights(generator)
    for spec in (generator, generator.model_copy(update={"conditional": True})):
        codes = spec.draw((4,), _SPACE, rng=Rng.of(0))
        assert codes.values.shape == (4, spec.inputs(_SPACE)), "a code for every sample"
        network = _unsettled(spec.build(_SPACE, (), rng=Rng.of(3)))
        images = network(codes.values)
        assert images.shape == (4, *_SPACE.shape), "samples have the shape of the data"
        assert images.abs().max() <= 1, "samples lie in the range of the data"
    other = torch.zeros(4, dtype=torch.int64) if codes.labels is None else (codes.labels + 1) % _SPACE.classes
    conditional = network(spec.encode(codes.values[:, : spec.latent], other, _SPACE))
    assert not torch.equal(conditional, images), "the class changes the samples of a conditional generator"


@torch.no_grad()
def _unsettled(network: nn.Module) -> nn.Module:
    """The network in eval mode, with weights moved off their start, where all classes may be alike."""
    for index, parameter in enumerate(network.parameters()):
        parameter.add_(0.1 * Rng.of(index).normal(parameter.shape))
    return network.eval()


def check_discriminator(discriminator: Discriminator) -> None:
    """The contract of a discriminator: one score a sample from the features of its trunk."""
    _check_weights(discriminator)
    for head in members(Head).values():
        network = discriminator.model_copy(update={"head": head()}).build(_SPACE, (), rng=Rng.of(3)).eval()
        verdict = network(_IMAGES)
        assert verdict.score.shape == (4,), "one score a sample"
        assert network.trunk(_IMAGES).shape == (4, network.width), "a trunk has `width` features"
        assert torch.equal(verdict.score, network.head(network.trunk(_IMAGES)).score), "the head scores the features"
        assert (verdict.classes is not None) == head.needs_classes, "a head that needs classes has class logits"


def check_head(head: Head) -> None:
    """The contract of a head: scores and class logits, with and without a class."""
    features, labels = Rng.of(0).normal((5, 6)), torch.tensor([0, 1, 2, 0, 1])
    verdict = head.build(6, 3, nn.Linear)(features)
    score = head.score(verdict, labels)
    assert score.shape == (5,), "one score a sample"
    assert (verdict.classes is not None) == head.needs_classes, "a head that needs classes has class logits"
    if verdict.classes is not None:
        assert verdict.classes.shape == (5, 3), "a number a class"
    if head.needs_labels:
        by_class = torch.stack([head.score(verdict, torch.full((5,), label)) for label in range(3)])
        assert torch.allclose(by_class.mean(0), verdict.score, atol=1e-5), "without a class, the mean over the classes"
        assert not torch.allclose(by_class[0], by_class[1]), "the class counts"


def check_classifier(classifier: Classifier) -> None:
    """The contract of a classifier: logits that are linear in its features."""
    _check_weights(classifier)
    network = classifier.build(_SPACE, (), rng=Rng.of(3)).eval()
    assert isinstance(network, ClassifierModule)
    logits, extracted = network(_IMAGES), network.extract(_IMAGES)
    assert logits.shape == (4, 3), "one logit a class"
    assert torch.equal(extracted.logits, logits) and torch.equal(network.output(extracted.features), logits), (
        "logits are linear in features"
    )


def check_extractor(extractor: Extractor) -> None:
    """The contract of an extractor: features and logits per image, named by the digest of its weights."""
    space = Space((1, 8, 8), IMAGE_BOUNDS, 3)
    network, cpu = SmallCNN(width=2).build(space, (), rng=Rng.of(0)), torch.device("cpu")
    classifier = extractor.choose(lambda: FrozenClassifier(network, "toy", "0123", cpu), cpu)
    assert classifier is not None, "labelled images have an extractor"
    images = Rng.of(1).uniform((5, *space.shape), -1.0, 1.0)
    seen = classifier.extract(images)
    assert len(seen.features) == len(seen.logits) == 5 and seen.features.dim() == seen.logits.dim() == 2
    assert torch.equal(classifier.extract(images[:2]).features, seen.features[:2]), "images do not affect each other"
    assert classifier.sha256[:12] in classifier.name, "the name includes the digest of the weights"


def check_prior(prior: Prior) -> None:
    """The contract of a prior: centred, replicas as single games."""
    drawn = prior.draw((3, 1000), rng=Streams(5, 3).rng("latents"))
    assert torch.equal(drawn[1], prior.draw((1000,), rng=Streams(6).rng("latents"))), (
        "a replica has a single game's latents"
    )
    assert abs(float(drawn.mean())) < 0.1, "priors are centred"


def check_data(data: Data) -> None:
    """The contract of a data source: batches are a function of seed and number, in the declared shape and range."""
    source = data.open(torch.device("cpu"))
    single, packed = Streams(4), Streams(3, 2)
    batch = source.batch(7, 6, single)
    assert batch.samples.shape == (6, *source.facts.shape), "samples have the declared shape"
    assert batch.samples.dtype == torch.float32
    assert torch.equal(batch.samples, source.batch(7, 6, single).samples), "a batch is a function of (seed, number)"
    assert torch.equal(batch.samples, source.batch(7, 6, packed).samples[1]), "a replica has the batch of a single game"
    assert data.bounded == (source.facts.bounds is not None), "`bounded` agrees with the opened source"
    if source.facts.bounds is not None:
        low, high = source.facts.bounds
        held_out = source.held_out(32, rng=Rng.of(0)).samples
        assert low <= held_out.min() and held_out.max() <= high, "samples lie in the declared range"


class _Pixels:
    """A classifier whose features are the first pixels."""

    name, sha256 = "toy", "0"

    def extract(self, samples: Tensor) -> FeaturesAndLogits:
        return FeaturesAndLogits(samples.flatten(1)[:, :8], 100 * samples.flatten(1)[:, :2])


def check_metric(metric: Metric) -> None:
    """The contract of a metric: repeatable, with the numbers, shares and protocol that it names."""
    pixels, judge = Rng.of(0).uniform((64, 1, 8, 8)), _Pixels()
    real = RealFeatures(judge, judge.extract(pixels[:32]), judge.extract(pixels[32:]), "halves")
    images = Reference(pixels, None, 0.0, ("a", "b"), judge, real)
    points = Reference(Rng.of(0).normal((2048, 2)), torch.eye(2), 0.1, ("a", "b"), None)
    applicable = [reference for reference in (images, points) if metric.applies(reference)]
    assert applicable, "a metric applies to images or to points"
    for reference in applicable:
        state = torch.random.get_rng_state()
        found = metric.measure(reference.samples, reference)
        assert found == metric.measure(reference.samples, reference), "a measurement can be repeated"
        assert torch.equal(state, torch.random.get_rng_state()), "no global random state is used"
        assert tuple(found) == metric.names, "a metric returns the numbers that it names"
        assert set(metric.shares) <= set(metric.names)
        assert all(0 <= found[name] <= 1 for name in metric.shares), "shares lie in [0, 1]"
        assert metric.intervals(reference.samples, reference).keys() <= found.keys(), "intervals are of its numbers"
        assert metric.protocol(reference, len(reference.samples)), "every number has a protocol"


def check_init(init: Init) -> None:
    """The contract of an initialisation: a function of the stream, normalisation layers left alone."""
    state = torch.random.get_rng_state()
    networks = [nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(5, 6)) for _ in range(2)]
    networks[1].load_state_dict(networks[0].state_dict())
    torch.random.set_rng_state(state)
    for network in networks:
        init.apply(network, rng=Rng.of(3))
    assert torch.equal(state, torch.random.get_rng_state()), "no global random state is used"
    pairs = zip(*(network.state_dict().values() for network in networks), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs), "the weights are a function of the stream"
    assert all(parameter.isfinite().all() for parameter in networks[0].parameters())
    assert torch.equal(networks[0].state_dict()["1.weight"], torch.ones(4)), "normalisation layers are left alone"
