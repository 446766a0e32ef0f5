"""The contract of every family, for authors of pieces: `check(MyObjective())` raises AssertionError where it is broken.

Our own tests run it over every registered piece.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sparring.attacks import Aim, Attack, Criterion, Direction, GradientEstimator, Start
from sparring.core.balls import Ball, Linf
from sparring.core.pieces import FAMILIES, Piece, members, summary
from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import IMAGE_BOUNDS, Bounds, FeaturesAndLogits, Space, over_samples
from sparring.data import Data
from sparring.feedback import Delivery, Feedback, Flip, Honest, Perturbation
from sparring.lipschitz import Lipschitz
from sparring.metrics import Metric, RealFeatures, Reference
from sparring.networks import (
    Classifier,
    ClassifierModule,
    Discriminator,
    Extractor,
    FrozenClassifier,
    Generator,
    Head,
    MLPDiscriminator,
    Network,
    Prior,
    SmallCNN,
)
from sparring.objectives import ClassLoss, Objective
from sparring.optimizers import Optimizer, Schedule
from sparring.recipes import parse_yaml
from sparring.regimes import ORIGINS, Origin, Regime, Response, View

_WIDE = torch.linspace(-300.0, 300.0, 1201)
_SETTLED = 100
"""Constraints in a row, after which one more changes nothing that D computes."""


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
    network = MLPDiscriminator(hidden=(8,)).build(Space((2,), None), (3,), rng=Streams(0, 3).rng("init"))
    control.check(network)
    control.transform(network)
    real, fake = (Rng.of(seed).normal((3, 5, 2)) for seed in (1, 2))

    def score(x: Tensor) -> Tensor:
        found: Tensor = network(x).score
        return found

    seen = control.disturb(real, progress=0.5, rng=Streams(0, 3).rng("lipschitz"))
    row = control.disturb(real[1], progress=0.5, rng=Streams(1).rng("lipschitz"))
    assert torch.equal(seen[1], row), "a replica's samples are disturbed as a single game's"
    held = [tensor.detach().clone() for tensor in network.state_dict().values()]
    cost = control.penalty(score, real, fake, batch_axes=2, rng=Streams(0, 3).rng("lipschitz")).expand(3, 5)
    assert (cost >= 0).all() and cost.isfinite().all(), "a penalty is finite and never pays"
    same = zip(held, network.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in same), "a penalty leaves no trace in the network"
    assert all(parameter.grad is None for parameter in network.parameters()), "a penalty is the engine's to climb"
    single = MLPDiscriminator(hidden=(8,)).build(Space((2,), None), (), rng=Streams(1).rng("init"))
    control.transform(single)
    rng = Streams(1).rng("lipschitz")
    own = control.penalty(lambda x: single(x).score, real[1], fake[1], batch_axes=1, rng=rng).expand(5)
    assert torch.allclose(cost[1], own, rtol=1e-3, atol=1e-4), "a replica pays what a single game pays"
    control.constrain(network)
    once = [parameter.detach().clone() for parameter in network.parameters()]
    for _ in range(_SETTLED):
        control.constrain(network)
    assert all(torch.equal(a, b) for a, b in zip(once, network.parameters(), strict=True)), "constraining is idempotent"
    settled = score(real)
    control.constrain(network)
    assert torch.allclose(settled, score(real), rtol=1e-5, atol=1e-6), "what constraining keeps of a network settles"


class _Side:
    """D's side of a toy game: a linear score of points in the unit square."""

    def __init__(self) -> None:
        self.round, self.space, self.couples_samples = 3, Space((2,), Bounds(0.0, 1.0)), False
        self.network = nn.Linear(2, 1)
        with torch.no_grad():
            self.network.weight.copy_(torch.tensor([[1.0, -2.0]]))
        self.steps: list[list[View]] = [[]]

    def show(self, view: View, gradients: Sequence[Origin] = ()) -> Mapping[Origin, Response]:
        self.steps[-1].append(view)
        return {origin: self._response(origin, view, gradients) for origin in ORIGINS}

    def step(self) -> None:
        self.steps.append([])

    def payoff(self, origin: Origin, samples: Tensor, *, labels_of: Origin | None = None) -> Tensor:
        score = self.network(samples).squeeze(-1)
        payoff: Tensor = score if origin == "real" else -score
        return payoff

    def rng(self, name: str) -> Rng:
        return Streams(0).rng(name)

    def mean(self, values: Tensor) -> Tensor:
        assert not values.requires_grad, "a mean over processes has no graph"
        return over_samples(values)

    def record(self, numbers: Mapping[str, Tensor]) -> None:
        assert all(values.shape == (4,) for values in numbers.values()), "numbers are logged per sample"

    def _response(self, side: Origin, view: View, gradients: Sequence[Origin]) -> Response:
        own, other = (view.real, view.fake) if side == "real" else (view.fake, view.real)
        leaf = own.detach().requires_grad_()
        payoff = self.payoff(side, leaf)
        (gradient,) = torch.autograd.grad(payoff.sum(), leaf)
        mean = self.payoff(side, other).detach().mean()
        return Response(payoff.detach(), lambda: mean, gradient if side in gradients else None)


def _check_regime(regime: Regime) -> None:
    side, real, fake = _Side(), Rng.of(1).uniform((4, 2)), Rng.of(2).uniform((4, 2))
    before = real.clone(), fake.clone()
    regime.update(side, real, fake)
    *steps, rest = side.steps
    assert steps and all(steps) and not rest, "D steps on everything that it was shown"
    assert torch.equal(real, before[0]) and torch.equal(fake, before[1]), "the batches are not written to"
    for view in (view for step in steps for view in step):
        assert view.real.shape == real.shape and view.fake.shape == fake.shape, "views keep their shape"
        assert torch.equal(view.real, real) or "real" in view.attacked, "what is moved is declared"
        assert min(view.real.min(), view.fake.min()) >= 0 and max(view.real.max(), view.fake.max()) <= 1, "range"
        assert torch.equal(view.fake, fake) or "fake" in view.attacked, "what is moved is declared"
    assert all(parameter.grad is None for parameter in side.network.parameters()), "gradients are D's side's affair"


def _check_attack(attack: Attack) -> None:
    space = Space((3, 4), Bounds(-1.0, 1.0))
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(-2), nn.BatchNorm1d(12), nn.Dropout(0.5), nn.Linear(12, 1))
    x = Rng.of(1).uniform((6, 3, 4), -1.2, 1.0)  # a little outside of the range, as dequantised images are
    state, modes = [t.clone() for t in network.state_dict().values()], [m.training for m in network.modules()]
    generator = torch.random.get_rng_state()

    def loss(samples: Tensor) -> Tensor:
        found: Tensor = network(samples).squeeze(-1)
        return found

    found, again = (attack(x, loss, network=network, space=space, rng=Rng.of(5)) for _ in range(2))
    assert found.shape == x.shape and not found.requires_grad, "samples keep their shape and carry no graph"
    assert torch.equal(found, again), "an attack is a function of its stream"
    assert (attack.ball.size(found - x, 1) <= attack.epsilon * 2 + 1e-6).all() or not attack.ball.limited, "budget"
    assert (found >= x.clamp(max=-1)).all() and (found <= x.clamp(min=1)).all(), "range"
    assert all(map(torch.equal, state, network.state_dict().values())), "no trace on parameters and buffers"
    assert modes == [m.training for m in network.modules()], "no trace on modes"
    assert all(parameter.grad is None and parameter.requires_grad for parameter in network.parameters())
    assert torch.equal(generator, torch.random.get_rng_state()), "no trace on torch's random state"
    weight = Rng.of(3).normal((3, 4))
    inside = 0.5 * x

    def linear(samples: Tensor) -> Tensor:
        return (samples * weight).sum((-2, -1))

    def darker(samples: Tensor) -> Tensor:
        return -(samples * weight.abs()).sum((-2, -1))

    moved = attack(inside, linear, network=nn.Module(), space=space, rng=Rng.of(5))
    assert (linear(moved) >= linear(inside)).all(), "no loss falls"
    assert attack.epsilon == 0 or (linear(moved) > linear(inside)).any(), "an attack with a budget raises its loss"
    moved = attack(inside, darker, network=nn.Module(), space=space, rng=Rng.of(5))
    assert attack.epsilon == 0 or (darker(moved) > darker(inside)).all(), "so it does where darker is worse"
    still = attack.scaled(0.0)(x, loss, network=network, space=space, rng=Rng.of(5))
    assert torch.equal(still, x), "without a budget nothing moves"
    if attack.can_reuse():
        weight = nn.Parameter(torch.linspace(-1, 1, 12).reshape(3, 4))
        linear = nn.ParameterList([weight])
        called = attack(x, lambda samples: (samples * weight).sum((-2, -1)), network=linear, space=space, rng=Rng.of(5))
        given = attack.from_gradient(x, weight.detach().expand(6, 3, 4), space=space, rng=Rng.of(5))
        assert torch.allclose(called, given, atol=1e-6), "a known gradient gives the same samples"


def _check_ball(ball: Ball) -> None:
    delta = Rng.of(0).normal((2, 5, 3, 4))
    assert ball.size(delta, 2).shape == (2, 5), "a size per sample"
    inside = ball.project(delta, 0.5, 2)
    assert torch.allclose(ball.project(inside, 0.5, 2), inside, atol=1e-7), "projecting is idempotent"
    if not ball.limited:
        return
    assert (ball.size(inside, 2) <= 0.5 + 1e-6).all(), "a projection lies in the ball"
    assert torch.equal(ball.project(0.01 * delta, 0.5, 2), 0.01 * delta), "what lies inside stays"
    drawn = ball.draw(delta, 0.5, 2, rng=Streams(0, 2).rng("start"))
    assert (ball.size(drawn, 2) <= 0.5 + 1e-6).all() and (ball.size(drawn, 2) > 0).all(), "a draw lies in the ball"


def _check_start(start: Start) -> None:
    x = Rng.of(0).normal((5, 3))
    assert (Linf().size(start.draw(x, Linf(), 0.5, 1, rng=Rng.of(1)), 1) <= 0.5).all(), "a start lies in the ball"


def _check_estimator(estimator: GradientEstimator) -> None:
    space, weight = Space((2, 3), Bounds(-1.0, 1.0)), torch.linspace(-1, 2, 6).reshape(2, 3)
    x = Rng.of(0).normal((3, 64, 2, 3))
    rise = 1.0 + torch.arange(64)

    def loss(samples: Tensor) -> Tensor:
        return rise * (weight * samples).sum((-2, -1))

    def constant(samples: Tensor) -> Tensor:
        return 0 * loss(samples) + 1

    found = estimator.estimate(x, loss, space=space, rng=Streams(7, 3).rng("estimator"))
    assert found.shape == x.shape and not found.requires_grad, "a direction per sample, without a graph"
    again = estimator.estimate(x[1], loss, space=space, rng=Streams(8).rng("estimator"))
    assert torch.allclose(found[1], again, atol=1e-4), "a replica is followed as a single game"
    still = estimator.estimate(x, constant, space=space, rng=Streams(7, 3).rng("estimator"))
    assert (still.abs() < 1e-4).all(), "no gradient, no direction"
    if estimator.white_box:
        gradient = rise[:, None, None] * weight
        followed = estimator.follow(gradient.expand(3, 64, 2, 3), 2, rng=Streams(7, 3).rng("estimator"))
        assert torch.allclose(followed, found, rtol=1e-4), "a known gradient gives the same direction"
        sizes = followed.flatten(2).norm(dim=2), gradient.flatten(1).norm(dim=1).expand(3, 64)
        assert torch.allclose(*sizes, rtol=1e-4), "a gradient's size is kept"
    else:
        blind = estimator.estimate(x, lambda s: loss(s).detach(), space=space, rng=Streams(7, 3).rng("estimator"))
        assert torch.equal(blind, found), "values are all that it sees"
        mean = (found / rise[:, None, None]).mean((0, 1))
        assert (mean * weight).sum() > 0.5 * (weight * weight).sum(), "an estimate goes up"


def _check_direction(direction: Direction) -> None:
    gradient = torch.cat([Rng.of(0).normal((4, 3)), torch.zeros(1, 3)])
    step = direction.step(gradient, 0.25, 2.0, 1)
    assert ((step * gradient).sum(1)[:4] > 0).all(), "a step goes up"
    assert (step[4] == 0).all(), "no gradient, no step"


def _check_aim(aim: Aim) -> None:
    payoff = Rng.of(0).normal((3, 7))
    mean = torch.zeros(3)
    slope = aim.slope(payoff, lambda: mean)
    assert slope.shape == payoff.shape and slope.isfinite().all(), "one finite slope a sample"
    assert aim.loss(payoff, lambda: mean).shape == payoff.shape, "one loss a sample"
    assert not aim.constant_slope or (slope == slope[0, 0]).all(), "a slope declared constant is constant"


def _check_criterion(criterion: Criterion) -> None:
    for classes in (2, 3, 10):
        logits = (20 * Rng.of(classes).normal((16, classes))).requires_grad_()
        labels = logits.argmax(-1)
        loss = criterion.loss(logits, labels)
        (slope,) = torch.autograd.grad(loss.sum(), logits)
        assert loss.shape == labels.shape, "one loss a sample"
        assert slope.isfinite().all() and (slope != 0).any(-1).all(), "sound logits have a slope"
        assert (slope.gather(1, labels[:, None]) <= 1e-6).all(), "a sample's own class does not pay"
        for hard in (300 * logits.detach(), 0 * logits.detach(), logits.detach().half()):
            value = criterion.loss(hard, labels)
            assert value.isfinite().all() and value.dtype == torch.float32, "finite and fp32 for every logits"
        if criterion.targeted:
            targets = (labels + 1) % classes
            (slope,) = torch.autograd.grad(criterion.toward(logits, labels, targets).sum(), logits)
            assert (slope.gather(1, targets[:, None]) >= 0).all(), "the target pays"


def _check_network(network: Network) -> None:
    space = Space((1, 32, 32), IMAGE_BOUNDS, 3)
    state = torch.random.get_rng_state()
    first, second = (network.build(space, (), rng=Rng.of(3)) for _ in range(2))
    assert torch.equal(state, torch.random.get_rng_state()), "no global random state is used"
    assert _equal(first, second), "the weights are a function of the stream"
    assert all(parameter.isfinite().all() for parameter in first.parameters())


def _check_generator(generator: Generator) -> None:
    space = Space((1, 32, 32), IMAGE_BOUNDS, 3)
    for spec in (generator, generator.model_copy(update={"conditional": True})):
        codes = spec.draw((4,), space, rng=Rng.of(0))
        assert codes.values.shape == (4, spec.inputs(space)), "a code for every sample"
        network = _unsettled(spec.build(space, (), rng=Rng.of(3)))
        images = network(codes.values)
        assert images.shape == (4, *space.shape), "samples have the shape of the data"
        assert images.abs().max() <= 1, "samples lie in the range of the data"
    other = torch.zeros(4, dtype=torch.int64) if codes.labels is None else (codes.labels + 1) % space.classes
    told = network(spec.encode(codes.values[:, : spec.latent], other, space))
    assert not torch.equal(told, images), "a generator that is told a class draws by it"


@torch.no_grad()
def _unsettled(network: nn.Module) -> nn.Module:
    """The network in eval mode, its weights a little off their start, where all classes may be alike."""
    for index, parameter in enumerate(network.parameters()):
        parameter.add_(0.1 * Rng.of(index).normal(parameter.shape))
    return network.eval()


def _check_discriminator(discriminator: Discriminator) -> None:
    space, images = Space((1, 32, 32), IMAGE_BOUNDS, 3), Rng.of(4).uniform((4, 1, 32, 32), -1.0, 1.0)
    for head in members(Head).values():
        network = discriminator.model_copy(update={"head": head()}).build(space, (), rng=Rng.of(3)).eval()
        verdict = network(images)
        assert verdict.score.shape == (4,), "one score a sample"
        assert network.trunk(images).shape == (4, network.width), "a trunk sees as many features as it says"
        assert torch.equal(verdict.score, network.head(network.trunk(images)).score), "the head judges features"
        assert (verdict.classes is not None) == head.needs_classes, "a head that needs classes tells of them"


def _check_head(head: Head) -> None:
    features, labels = Rng.of(0).normal((5, 6)), torch.tensor([0, 1, 2, 0, 1])
    verdict = head.build(6, 3, nn.Linear)(features)
    score = head.score(verdict, labels)
    assert score.shape == (5,), "one score a sample"
    assert (verdict.classes is not None) == head.needs_classes, "a head that needs classes tells of them"
    if verdict.classes is not None:
        assert verdict.classes.shape == (5, 3), "a number a class"
    if head.needs_labels:
        by_class = torch.stack([head.score(verdict, torch.full((5,), label)) for label in range(3)])
        assert torch.allclose(by_class.mean(0), verdict.score, atol=1e-5), "without a class, the mean over the classes"
        assert not torch.allclose(by_class[0], by_class[1]), "the class counts"


def _check_class_loss(loss: ClassLoss) -> None:
    source, logits = Rng.of(0).normal((2, 4)), Rng.of(1).normal((2, 4, 3))
    labels = logits.argmax(-1)
    for player in ("real", "fake", "generator"):
        weights = getattr(loss, player)
        paid = loss.payoff(player, source, logits, labels)
        alone = weights.source * source
        assert paid.shape == source.shape, "one payoff a sample"
        assert bool((paid < alone).all()) == bool(weights.classes), "a log-likelihood is negative"
        if weights.classes:
            assert (loss.payoff(player, source, logits, (labels + 1) % 3) < paid).all(), "the likeliest class pays best"
    assert loss.needs_logits or torch.equal(loss.payoff("real", source, None, None), loss.real.source * source)


def _check_classifier(classifier: Classifier) -> None:
    network = classifier.build(Space((1, 32, 32), IMAGE_BOUNDS, 3), (), rng=Rng.of(3)).eval()
    images = Rng.of(4).uniform((4, 1, 32, 32), -1.0, 1.0)
    assert network(images).shape == (4, 3), "one logit a class"
    assert isinstance(network, ClassifierModule) and torch.equal(network.extract(images).logits, network(images))
    assert torch.equal(network.output(network.extract(images).features), network(images)), (
        "logits are linear in features"
    )


def _check_extractor(extractor: Extractor) -> None:
    space = Space((1, 8, 8), IMAGE_BOUNDS, 3)
    network, cpu = SmallCNN(width=2).build(space, (), rng=Rng.of(0)), torch.device("cpu")
    classifier = extractor.choose(lambda: FrozenClassifier(network, "toy", "0123", cpu), cpu)
    assert classifier is not None, "labelled images have an extractor"
    images = Rng.of(1).uniform((5, *space.shape), -1.0, 1.0)
    seen = classifier.extract(images)
    assert len(seen.features) == len(seen.logits) == 5 and seen.features.dim() == seen.logits.dim() == 2
    assert torch.equal(classifier.extract(images[:2]).features, seen.features[:2]), "images do not affect each other"
    assert classifier.sha256[:12] in classifier.name, "the name includes the digest of the weights"


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
    assert data.bounded == (source.facts.bounds is not None), "what is said of the range holds of the opened data"
    if source.facts.bounds is not None:
        low, high = source.facts.bounds
        held_out = source.held_out(32, rng=Rng.of(0)).samples
        assert low <= held_out.min() and held_out.max() <= high, "samples lie in the declared range"


class _Pixels:
    """A judge that sees the first pixels, and is sure of the brighter one of two."""

    name, sha256 = "toy", "0"

    def extract(self, samples: Tensor) -> FeaturesAndLogits:
        return FeaturesAndLogits(samples.flatten(1)[:, :8], 100 * samples.flatten(1)[:, :2])


def _check_metric(metric: Metric) -> None:
    pixels, judge = Rng.of(0).uniform((64, 1, 4, 4)), _Pixels()
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
        assert metric.protocol(reference, len(reference.samples)), "every number has a protocol"


def _equal(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


_CONTRACTS: dict[type[Piece], Callable[[Any], None]] = {
    Objective: _check_objective,
    ClassLoss: _check_class_loss,
    Head: _check_head,
    Perturbation: _check_perturbation,
    Feedback: _check_feedback,
    Delivery: _check_delivery,
    Lipschitz: _check_lipschitz,
    Ball: _check_ball,
    Attack: _check_attack,
    Start: _check_start,
    GradientEstimator: _check_estimator,
    Direction: _check_direction,
    Aim: _check_aim,
    Criterion: _check_criterion,
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
