"""Threat: an attack on a classifier with its criterion, restarts and targets; `fool` runs it.

A sample is fooled if a tried perturbation makes its predicted class wrong. For every sample, `fool` tries the clean
sample, then every target of every restart, until one fools.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Bool, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from sparring.attacks.base import Attack
from sparring.attacks.losses import Criterion, CrossEntropy, Labels, Logits, Losses, wrong_classes
from sparring.core.modules import untraced
from sparring.core.randomness import Rng
from sparring.core.records import Count, Record
from sparring.core.shapes import Samples, Space

Classify = Callable[[Samples], Logits]
"""A classifier: `(n, ...) -> (n, classes)`, one sample independent of the others."""


class Threat(Record):
    """An attack, its criterion, and how often it is tried.

    Args:
        name: for tables.
        kind: the attacker's knowledge: gradients, outputs, another network, nothing (noise), or something else.
        attack: one try.
        criterion: the loss that the attack ascends.
        restarts: tries per sample (and target), with fresh random draws each.
        targets: 0 for an untargeted attack; k tries the k most likely wrong classes of the clean sample as targets.
    """

    name: str
    kind: Literal["white-box", "black-box", "transfer", "noise", "other"]
    attack: Attack
    criterion: Criterion = CrossEntropy()
    restarts: Count = 1
    targets: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _criterion_takes_targets(self) -> Threat:
        if self.targets and not self.criterion.targeted:
            raise ValueError(f"targets: {self.criterion.name} takes no target; use targeted_dlr")
        if self.attack.seeks_boundary and not self.criterion.signed:
            raise ValueError(f"criterion: {self.criterion.name} is not 0 where the class changes; use margin")
        return self


class Fooled(NamedTuple):
    """The outcome of a threat, per sample.

    Args:
        samples: the first perturbed sample that fools, or else the one of the highest loss; the clean sample where
            it is misclassified, or where no try raised the loss.
        fooled: whether `samples` are misclassified.
        loss_start: the untargeted criterion on the clean samples.
        loss_end: the same on `samples`.
        forwards: forward passes.
        backwards: backward passes.
    """

    samples: Samples
    fooled: Bool[Tensor, " n"]
    loss_start: Losses
    loss_end: Losses
    forwards: Int[Tensor, " n"]
    backwards: Int[Tensor, " n"]


def fool(
    threat: Threat,
    classify: Classify,
    x: Samples,
    labels: Labels,
    *,
    network: nn.Module,
    space: Space,
    rng: Rng,
    through: Classify | None = None,
) -> Fooled:
    """Try a threat on a classifier; a sample is not attacked further once it is fooled.

    Args:
        threat: the attack and its settings.
        classify: the classifier, in the mode and precision to be attacked.
        x: `(n, *space.shape)`.
        labels: the true classes.
        network: the network that `classify` runs; left unchanged.
        space: shape and range of the samples.
        rng: of all restarts.
        through: a faster form of the same classifier to attack (see `networks.prepared_for_attack`); whether a sample
            is fooled, and its loss, are always judged by `classify`.
    """
    samples, calls, everything = x.detach().clone(), _Calls(x), torch.arange(len(x), device=x.device)
    with untraced(network), torch.no_grad():
        logits = calls.of(classify, everything)(samples)
        fooled, start = logits.argmax(-1) != labels, threat.criterion.loss(logits, labels)
        end, targets = start.clone(), _targets(threat, logits, labels)
        for _, target in product(range(threat.restarts), targets):
            rest = everything[~fooled]
            if not len(rest):
                break
            own, attacked = labels[rest], calls.of(through or classify, rest)
            aim = None if target is None else target[rest]
            found = attempt(threat, attacked, x[rest], own, aim, network=network, space=space, rng=rng)
            logits = calls.of(classify, rest)(found)
            wrong, loss = logits.argmax(-1) != own, threat.criterion.loss(logits, own)
            better = wrong | (loss > end[rest])
            samples[rest[better]], end[rest[better]] = found[better], loss[better]
            fooled[rest] = wrong
    return Fooled(samples, fooled, start, end, calls.forwards, calls.backwards)


def attempt(
    threat: Threat,
    classify: Classify,
    x: Samples,
    labels: Labels,
    targets: Labels | None = None,
    *,
    network: nn.Module,
    space: Space,
    rng: Rng,
) -> Samples:
    """One try on every sample, misclassified or not, as for a transfer to another classifier.

    Args:
        targets: target classes, for a targeted criterion; the other arguments are those of `fool`.
    """

    def loss(samples: Samples) -> Losses:
        logits, criterion = classify(samples), threat.criterion
        return criterion.loss(logits, labels) if targets is None else criterion.toward(logits, labels, targets)

    return threat.attack(x, loss, network=network, space=space, rng=rng)


class _Calls:
    """Counts the forward and backward passes of every sample."""

    def __init__(self, x: Samples) -> None:
        self.forwards, self.backwards = (torch.zeros(len(x), dtype=torch.int64, device=x.device) for _ in range(2))

    def of(self, classifier: Classify, rows: Int[Tensor, " m"]) -> Classify:
        """A classifier of these samples that counts its calls."""

        def back(_: Tensor) -> None:
            self.backwards[rows] += 1

        def classify(samples: Samples) -> Logits:
            logits = classifier(samples)
            self.forwards[rows] += 1
            if logits.requires_grad:
                logits.register_hook(back)  # type: ignore[no-untyped-call]
            return logits

        return classify


def _targets(threat: Threat, logits: Logits, labels: Labels) -> Sequence[Labels | None]:
    if not threat.targets:
        return [None]
    return wrong_classes(logits, labels, min(threat.targets, logits.shape[-1] - 1)).unbind(1)
