"""AutoAttack's ensemble on an adversarially trained classifier of ten classes: the published way and ours.

Both take the same steps, targets and queries on the same images; their robust accuracies stand beside the times.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.case import Candidate, Case, Line, compared
from benchmarks.ceiling import Ceiling
from benchmarks.published_autoattack import PublishedAutoAttack
from benchmarks.timing import Work
from sparring.attacks import PGD
from sparring.classifier.step import fit
from sparring.core.balls import Linf
from sparring.core.randomness import Rng, Streams
from sparring.data import Digits
from sparring.networks import SmallResNet
from sparring.robustness.budgets import Budgets
from sparring.robustness.targets import Target, target_of
from sparring.robustness.threat_sets import autoattack
from sparring.robustness.trials import Trials

_EPSILON = 0.15
_UPDATES, _IMAGES, _WIDTH, _SIDE = 150, 48, 8, 32


def trained_target(updates: int = _UPDATES, images: int = _IMAGES, width: int = _WIDTH) -> Target:
    """A residual network after adversarial training on the digits, scaled to 32 pixels, and held-out images."""
    source, streams = Digits().open(torch.device("cpu")), Streams(0)
    space = replace(source.facts.space, shape=(1, _SIDE, _SIDE))
    network = SmallResNet(width=width).build(space, (), rng=Rng.of(0))
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    attack = PGD(epsilon=_EPSILON, steps=3)
    for number in range(updates):
        batch = source.batch(number, 64, streams)
        assert batch.labels is not None
        labels, x = batch.labels, _scaled(batch.samples)

        def loss(samples: Tensor, labels: Tensor = labels) -> Tensor:
            return F.cross_entropy(network(samples), labels, reduction="none")

        moved = attack(x, loss, network=network, space=space, rng=streams.rng("attack", number))
        fit(network.train(), [(moved, labels)], optimizer)
    held_out = source.held_out(images, rng=Rng.of(0))
    assert held_out.labels is not None
    return target_of(network.eval(), _scaled(held_out.samples), held_out.labels, low=-1.0, high=1.0)


def _scaled(images: Tensor) -> Tensor:
    return F.interpolate(images, size=(_SIDE, _SIDE), mode="bilinear").clamp(-1, 1)


def ours(target: Target, epsilon: float) -> Tensor:
    """Which samples withstand the ensemble, `(n)`."""
    trials, fooled = Trials(target, seed=0), ~target.correct(target.samples)
    for threat in autoattack(epsilon, Budgets(Linf(), (epsilon,), epsilon, target.space)):
        fooled = fooled | ~trials.of(threat, fooled).correct
    return ~fooled


def published(target: Target, epsilon: float, network: nn.Module) -> Tensor:
    """The same in the published way."""
    return PublishedAutoAttack(network, 2 * epsilon).robust(target.samples[:], target.labels)


def _measure(ceiling: Ceiling) -> list[Line]:
    target = trained_target()
    works: list[Work] = [partial(published, target, _EPSILON, target.network), partial(ours, target, _EPSILON)]
    shares = [float(work().double().mean()) for work in works]  # type: ignore[attr-defined]
    names = ["published way", "ours"]
    candidates = [Candidate(f"{n}, {100 * s:.1f} % robust", w) for n, s, w in zip(names, shares, works, strict=True)]
    return compared(candidates, ceiling, unit=f"s for {_IMAGES} images", turns=3)


CASES = (Case("autoattack", "AutoAttack's ensemble on a small residual network, 100 steps, 5,000 queries", _measure),)
