"""Trial: one threat tried on a subject, and what it cost."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from sparring.attacks import Dimming, Fooled, Threat, fool
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, Space
from sparring.robustness.budgets import scales
from sparring.robustness.checks import rate
from sparring.robustness.targets import Subject
from sparring.robustness.transfer import made_of, require_alike
from sparring.runs.schema import ThreatResult

SHOWN = 8
"""Samples that stay for pictures."""


@dataclass(frozen=True)
class Trial:
    """What became of a subject's samples under one threat.

    Args:
        name, kind: of the threat.
        threat: with its settings.
        stands: which samples are classified right, clean and attacked.
        loss_start, loss_end: mean of what was ascended, on clean samples and on those returned.
        seconds: for all samples.
        forwards, backwards: model calls a sample.
        shown: the first samples as they were returned.
        predicted: their classes.
    """

    name: str
    kind: str
    threat: Threat
    stands: Bool[Tensor, " n"]
    loss_start: float
    loss_end: float
    seconds: float
    forwards: float
    backwards: float
    shown: Samples
    predicted: Int[Tensor, " k"]

    @property
    def epsilon(self) -> float:
        """The budget."""
        return self.threat.attack.epsilon

    @property
    def norm(self) -> str:
        """What the budget is measured in; the attack's own name where it tries no more than a line of the ball."""
        attack = self.threat.attack
        return attack.name if isinstance(attack, Dimming) or not attack.ball.limited else attack.ball.norm

    def result(self, space: Space) -> ThreatResult:
        """The trial's row of robustness.json."""
        return ThreatResult(
            name=self.name,
            kind=self.kind,
            norm=self.norm,
            epsilon=self.epsilon,
            scales=scales(self.epsilon, space),
            accuracy=rate(self.stands),
            loss_start=self.loss_start,
            loss_end=self.loss_end,
            seconds=self.seconds,
            forwards=self.forwards,
            backwards=self.backwards,
            settings=self.threat.model_dump(mode="json"),
        )


def try_threat(subject: Subject, threat: Threat, *, rng: Rng) -> Trial:
    """Try a threat with all of its restarts and targets."""
    began = time.perf_counter()
    network, space, through = subject.network, subject.space, subject.attacked
    parts = [
        fool(threat, subject.logits, x, labels, network=network, space=space, rng=rng, through=through)
        for x, labels in subject.parts()
    ]
    found = Fooled(*(torch.cat(each) for each in zip(*parts, strict=True)))
    return Trial(
        name=threat.name,
        kind=threat.kind,
        threat=threat,
        stands=~found.fooled,
        loss_start=_mean(found.loss_start),
        loss_end=_mean(found.loss_end),
        seconds=time.perf_counter() - began,
        forwards=_mean(found.forwards),
        backwards=_mean(found.backwards),
        shown=found.samples[:SHOWN],
        predicted=_classes(subject, found.samples[:SHOWN]),
    )


def try_transfer(subject: Subject, source: Subject, threat: Threat, *, rng: Rng) -> Trial:
    """Show a subject the adversarial samples of another one; the calls counted are of the subject itself.

    Raises:
        UsageError: the source does not answer the same question.
    """
    require_alike(subject, source)
    began = time.perf_counter()
    moved = torch.cat([made_of(source, threat, x, labels, rng=rng) for x, labels in subject.parts()])
    before, after = (subject.answers(x) for x in (subject.samples, moved))
    labels, criterion = subject.labels, threat.criterion
    return Trial(
        name=f"{threat.name} on {source.name}",
        kind="transfer",
        threat=threat,
        stands=(before.argmax(1) == labels) & (after.argmax(1) == labels),
        loss_start=_mean(criterion.loss(before, labels)),
        loss_end=_mean(criterion.loss(after, labels)),
        seconds=time.perf_counter() - began,
        forwards=2.0,
        backwards=0.0,
        shown=moved[:SHOWN],
        predicted=after[:SHOWN].argmax(1),
    )


def right(subject: Subject) -> Bool[Tensor, " n"]:
    """Which samples are classified right as they are."""
    return _classes(subject, subject.samples) == subject.labels


def _classes(subject: Subject, samples: Samples) -> Int[Tensor, " n"]:
    return subject.answers(samples).argmax(1)


def _mean(values: Tensor) -> float:
    return float(values.double().mean())
