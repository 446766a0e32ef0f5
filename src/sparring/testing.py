"""The contract of every family, for authors of pieces: `check(MyObjective())` raises AssertionError where it is broken.

Our own tests run it over every registered piece.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sparring.data import Data
from sparring.feedback import Delivery, Feedback, Flip, Honest, Perturbation
from sparring.lipschitz import Lipschitz
from sparring.metrics import Metric, RealFeatures, Reference
from sparring.networks import (
    Classifier,
    ClassifierModule,
    Discriminator,
    Extractor,
    Generator,
    MLPDiscriminatorSpec,
    Network,
    Prior,
    SmallCNN,
    Viewer,
)
from sparring.objectives import Objective
from sparring.optimizers import Optimizer, Schedule
from sparring.pieces import FAMILIES, Piece, summary
from sparring.randomness import Rng, Streams
from sparring.recipes import parse_yaml
from sparring.regimes import Regime, View
from sparring.shapes import IMAGE_BOUNDS, Seen, Space

_WIDE = torch.linspace(-300.0, 300.0, 1201)


def check(piece: Piece) -> None:
    """Check a piece against the contract of its family.

    Raises:
        AssertionError: says which promise is broken.
    """
    _check_record(piece)
    for family, contract in _CONTRACTS.items():
        if isinstance(piece, family):
            contract(piece)


def _check_record(piece: Piece) -> None:
    family = FAMILIES[piece.family]
    values = piece.model_dump(mode="json")
    assert family.model_validate(values) == piece, "a piece round-trips through plain values"
    assert family.model_validate(parse_yaml(json.dumps(values), "piece")) == piece, "a piece round-trips through YAML"
    assert summary(type(piece)).endswith((".", ":")), "the first line of the docstring is a sentence for `list`"
    try:
        family.model_validate(values | {"no_such_key": 1})
    except ValueError:
        return
    raise AssertionError("a piece refuses unknown keys")


def _check_objective(objective: Objective) -> None:
    for payoff, sign in ((objective.real, 1), (objective.fake, -1), (objective.generator, 1)):
        _check_elementwise(payoff)
        slopes = payoff(torch.linspace(0, 1, 101, dtype=torch.float64)).diff() * sign
        assert (slopes >= 0).all(), "D is paid for telling real from fake, and G for looking real"
        assert payoff(_WIDE.half() / 10).dtype == torch.float32, "payoffs are computed in fp32"


def _check_perturbation(psi: Perturbation) -> None:
    _check_elementwise(psi.score)
    theta = torch.linspace(0, 1, 101, dtype=torch.float64)
    told = psi.probability(theta)
    assert ((told >= 0) & (told <= 1)).all(), "psi maps [0, 1] into [0, 1]"
    score = torch.linspace(-12, 12, 101, dtype=torch.float64)
    expected = psi.probability(torch.sigmoid(score))
    assert torch.allclose(torch.sigmoid(psi.score(score)), expected, atol=1e-7), "`score` and `probability` are one psi"


def _check_elementwise(function: Callable[[Tensor], Tensor]) -> None:
    score = _WIDE.clone().requires_grad_()
    value = function(score)
    assert value.shape == score.shape, "one value a score"
    assert value.isfinite().all(), "finite over scores in [-300, 300]"
    if value.requires_grad:
        (slope,) = torch.autograd.grad(value.sum(), score)
        assert slope.isfinite().all(), "finite slopes over scores in [-300, 300]"
    stacked = _WIDE[:1200].reshape(3, 400)
    assert torch.equal(function(stacked).flatten(), function(_WIDE[:1200])), "elementwise, for (n) and (replicas, n)"


def _check_feedback(feedback: Feedback) -> None:
    shares = [share for share, _ in feedback.distribution()]
    assert abs(sum(shares) - 1) < 1e-9 and min(shares) >= 0, "the probabilities are a distribution"
    assert 0 <= feedback.honest_probability <= 1
    score = torch.linspace(-3, 3, 64)
    told = [feedback.transmit(torch.tanh, score, rng=Rng.of(seed)) for seed in (1, 1)]
    assert told[0].shape == score.shape, "one payoff a sample"
    assert torch.equal(*told), "the same stream tells the same lies"


def _check_delivery(delivery: Delivery) -> None:
    score = torch.linspace(-3, 3, 7)
    mixture: Sequence[tuple[float, Perturbation]] = ((1.0, Honest()), (0.0, Flip()))
    told = delivery.deliver(mixture, torch.tanh, score, rng=Rng.of(0))
    assert torch.allclose(told, torch.tanh(score)), "an honest mixture tells the truth"
    mixture = ((0.0, Honest()), (1.0, Flip()))
    told = delivery.deliver(mixture, torch.tanh, score, rng=Rng.of(0))
    assert torch.allclose(told, torch.tanh(-score)), "a certain lie is told"


def _check_lipschitz(control: Lipschitz) -> None:
    network = MLPDiscriminatorSpec(hidden=(8,)).build(Space((2,), None), (3,), rng=Streams(0, 3).rng("init"))
    control.check(network)
    real, fake = (Rng.of(seed).normal((3, 5, 2)) for seed in (1, 2))

    def score(x: Tensor) -> Tensor:
        found: Tensor = network(x).score
        return found

    cost = control.penalty(score, real, fake, batch_axes=2, rng=Streams(0, 3).rng("lipschitz")).expand(3, 5)
    assert (cost >= 0).all() and cost.isfinite().all(), "a penalty is finite and never pays"
    control.constrain(network)
    once = [parameter.detach().clone() for parameter in network.parameters()]
    control.constrain(network)
    assert all(torch.equal(a, b) for a, b in zip(once, network.parameters(), strict=True)), "constraining is idempotent"


class _Recorder:
    def __init__(self) -> None:
        self.steps: list[Sequence[View]] = []

    def ascend(self, views: Sequence[View]) -> None:
        self.steps.append(views)


def _check_regime(regime: Regime) -> None:
    recorder, real, fake = _Recorder(), torch.randn(4, 2), torch.randn(4, 2)
    before = real.clone(), fake.clone()
    regime.update(recorder, real, fake)
    assert recorder.steps, "D is updated"
    assert torch.equal(real, before[0]) and torch.equal(fake, before[1]), "the batches are not written to"
    assert all(view.real.shape == real.shape for views in recorder.steps for view in views), "views keep their shape"


def _check_network(network: Network) -> None:
    space = Space((1, 32, 32), IMAGE_BOUNDS)
    state = torch.random.get_rng_state()
    first, second = (network.build(space, (), rng=Rng.of(3)) for _ in range(2))
    assert torch.equal(state, torch.random.get_rng_state()), "no global random state is used"
    assert _equal(first, second), "the weights are a function of the stream"
    assert all(parameter.isfinite().all() for parameter in first.parameters())


def _check_generator(generator: Generator) -> None:
    space = Space((1, 32, 32), IMAGE_BOUNDS)
    latents = generator.prior.draw((4, generator.latent), rng=Rng.of(0))
    images = generator.build(space, (), rng=Rng.of(3))(latents)
    assert images.shape == (4, *space.shape), "samples have the shape of the data"
    assert images.abs().max() <= 1, "samples lie in the range of the data"


def _check_discriminator(discriminator: Discriminator) -> None:
    network = discriminator.build(Space((1, 32, 32), IMAGE_BOUNDS), (), rng=Rng.of(3))
    assert network(torch.zeros(4, 1, 32, 32)).score.shape == (4,), "one score a sample"


def _check_classifier(classifier: Classifier) -> None:
    network = classifier.build(Space((1, 32, 32), IMAGE_BOUNDS), (), rng=Rng.of(3)).eval()
    images = Rng.of(4).uniform((4, 1, 32, 32), -1.0, 1.0)
    assert network(images).shape == (4, classifier.classes), "one logit a class"
    assert isinstance(network, ClassifierModule) and torch.equal(network.see(images).logits, network(images))
    assert torch.equal(network.output(network.see(images).features), network(images)), "logits are linear in features"


def _check_extractor(extractor: Extractor) -> None:
    space = Space((1, 8, 8), IMAGE_BOUNDS)
    network, cpu = SmallCNN(classes=3, width=2).build(space, (), rng=Rng.of(0)), torch.device("cpu")
    viewer = extractor.choose(lambda: Viewer(network, "toy", "0123", cpu), cpu)
    assert viewer is not None, "labelled images have an extractor"
    images = Rng.of(1).uniform((5, *space.shape), -1.0, 1.0)
    seen = viewer.see(images)
    assert len(seen.features) == len(seen.logits) == 5 and seen.features.dim() == seen.logits.dim() == 2
    assert torch.equal(viewer.see(images[:2]).features, seen.features[:2]), "an image is seen by itself"
    assert viewer.sha256[:12] in viewer.name, "the name tells the weights"


def _check_prior(prior: Prior) -> None:
    drawn = prior.draw((3, 1000), rng=Streams(5, 3).rng("latents"))
    assert torch.equal(drawn[1], prior.draw((1000,), rng=Streams(6).rng("latents"))), "a replica draws as a single game"
    assert abs(float(drawn.mean())) < 0.1, "priors are centred"


def _check_optimizer(optimizer: Optimizer) -> None:
    weights = nn.Parameter(torch.ones(3))
    built = optimizer.build([weights])
    optimizer.set_rate(built, 0.0)
    weights.grad = torch.ones(3)
    built.step()
    assert (weights < 1).all(), "a step goes against the gradient"


def _check_schedule(schedule: Schedule) -> None:
    factors = [schedule.factor(step / 100) for step in range(100)]
    assert all(math.isfinite(factor) and factor >= 0 for factor in factors), "rates stay finite and non-negative"


def _check_data(data: Data) -> None:
    source = data.open(torch.device("cpu"))
    single, packed = Streams(4), Streams(3, 2)
    batch = source.batch(7, 6, single)
    assert batch.samples.shape == (6, *source.facts.shape), "samples have the declared shape"
    assert batch.samples.dtype == torch.float32
    assert torch.equal(batch.samples, source.batch(7, 6, single).samples), "a batch is a function of (seed, number)"
    assert torch.equal(batch.samples, source.batch(7, 6, packed).samples[1]), "a replica sees what a single game sees"
    if source.facts.bounds is not None:
        low, high = source.facts.bounds
        held_out = source.held_out(32, rng=Rng.of(0)).samples
        assert low <= held_out.min() and held_out.max() <= high, "samples lie in the declared range"


class _Pixels:
    """A judge that sees the first pixels."""

    name, sha256 = "toy", "0"

    def see(self, samples: Tensor) -> Seen:
        return Seen(samples.flatten(1)[:, :8], samples.flatten(1)[:, :2])


def _check_metric(metric: Metric) -> None:
    pixels, judge = Rng.of(0).uniform((64, 1, 4, 4)), _Pixels()
    real = RealFeatures(judge, judge.see(pixels[:32]), judge.see(pixels[32:]), "halves")
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
        assert metric.protocol(reference, len(reference.samples)), "every number has a protocol"


def _equal(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


_CONTRACTS: dict[type[Piece], Callable[[Any], None]] = {
    Objective: _check_objective,
    Perturbation: _check_perturbation,
    Feedback: _check_feedback,
    Delivery: _check_delivery,
    Lipschitz: _check_lipschitz,
    Regime: _check_regime,
    Network: _check_network,
    Generator: _check_generator,
    Discriminator: _check_discriminator,
    Classifier: _check_classifier,
    Extractor: _check_extractor,
    Prior: _check_prior,
    Optimizer: _check_optimizer,
    Schedule: _check_schedule,
    Data: _check_data,
    Metric: _check_metric,
}
