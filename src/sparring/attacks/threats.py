"""Threat: an attack on a classifier with all that is tried of it, and `fool`, which tries it.

A sample is fooled where some tried perturbation changes its class to a wrong one. What is tried of a sample: the
sample itself, then every target of every restart, until one fools.
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
from sparring.attacks.criteria import Criterion, CrossEntropy, Labels, Logits, Losses, wrong_classes
from sparring.core.modules import untraced
from sparring.core.randomness import Rng
from sparring.core.records import Count, Record
from sparring.core.shapes import Samples, Space

Classify = Callable[[Samples], Logits]
"""A classifier: `(n, ...) -> (n, classes)`, every sample by itself."""


class Threat(Record):
    """An attack, what it wants, and how often it is tried.

    Args:
        name: for tables.
        kind: what the attacker knows or does: gradients, outputs, another network, chance, or something else.
        attack: one try.
        criterion: what the attack ascends.
        restarts: tries a sample (and a target), each with draws of its own.
        targets: 0 for none; k tries each of the k wrong classes that are most likely on the clean sample.
    """

    name: str
    kind: Literal["white-box", "black-box", "transfer", "noise", "other"]
    attack: Attack
    criterion: Criterion = CrossEntropy()
    restarts: Count = 1
    targets: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _can_aim(self) -> Threat:
        if self.targets and not self.criterion.targeted:
            raise ValueError(f"targets: {self.criterion.name} takes no target; targeted_dlr does")
        return self

    def at(self, epsilon: float) -> Threat:
        """The same threat with another budget, and steps of the same share of it.

        Raises:
            ValueError: the threat has no budget to take a share of.
        """
        if self.attack.epsilon == 0:
            raise ValueError(f"{self.name}: a budget of zero has no shares")
        # Set once more: a / b * b is not always a.
        attack = self.attack.scaled(epsilon / self.attack.epsilon).model_copy(update={"epsilon": epsilon})
        return self.model_copy(update={"attack": attack})


class Fooled(NamedTuple):
    """What became of every sample.

    Args:
        samples: the first perturbed sample that fools, or else the one of the highest loss; the clean sample where
            it is misclassified already, or where no try raised the loss.
        fooled: whether `samples` are misclassified.
        loss_start: the criterion on the clean samples, without a target.
        loss_end: the same on `samples`.
        forwards: how often the classifier was asked about each sample.
        backwards: how often a gradient was taken of it.
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
    """Try a threat on a classifier; a sample that is fooled costs nothing more.

    Args:
        threat: what is tried.
        classify: the classifier, in the mode and precision to be attacked.
        x: `(n, *space.shape)`.
        labels: the samples' own classes.
        network: what `classify` runs; left without a trace.
        space: shape and range of the samples.
        rng: of all restarts.
        through: the same classifier in a form that is quicker to attack; whether a sample is fooled, and its loss, are
            what `classify` says all the same.
    """
    samples, calls, everyone = x.detach().clone(), _Calls(x), torch.arange(len(x), device=x.device)
    with untraced(network), torch.no_grad():
        logits = calls.of(classify, everyone)(samples)
        fooled, start = logits.argmax(-1) != labels, threat.criterion.loss(logits, labels)
        end, targets = start.clone(), _targets(threat, logits, labels)
        for _, target in product(range(threat.restarts), targets):
            rest = everyone[~fooled]
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
    """One try on every sample, fooled or not: what a transfer to another classifier is made of.

    Args:
        targets: classes to end at, for a criterion that takes them; the rest is as in `fool`.
    """

    def loss(samples: Samples) -> Losses:
        logits, criterion = classify(samples), threat.criterion
        value = criterion.loss(logits, labels) if targets is None else criterion.toward(logits, labels, targets)
        # A classifier that cuts the graph (an argmax for a head) has a gradient: zero.
        return value if value.requires_grad else value + 0 * samples.flatten(1).sum(1)

    return threat.attack(x, loss, network=network, space=space, rng=rng)


class _Calls:
    """How often a classifier is asked about every sample, and how often a gradient is taken of its answer."""

    def __init__(self, x: Samples) -> None:
        self.forwards, self.backwards = (torch.zeros(len(x), dtype=torch.int64, device=x.device) for _ in range(2))

    def of(self, classifier: Classify, rows: Int[Tensor, " m"]) -> Classify:
        """A classifier for these samples, counting."""

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
