"""Threat: an attack on a classifier with its criterion, restarts and targets; `fool` runs it.

A sample is fooled if a tried perturbation makes its predicted class wrong. For every sample, `fool` tries the clean
sample, then every target of every restart, until one fools.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Literal, NamedTuple

import torch
from jaxtyping import Bool, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from sparring.attacks.base import Attack
from sparring.attacks.early_stop import EarlyStop
from sparring.attacks.losses import Criterion, CrossEntropy, Labels, Logits, Losses, wrong_classes
from sparring.core.modules import noise_from, untraced
from sparring.core.randomness import Rng
from sparring.core.records import Count, Record
from sparring.core.shapes import Samples, Space

Rows = Int[Tensor, " m"]
Classify = Callable[[Samples], Logits]
"""A classifier: `(n, ...) -> (n, classes)`, one sample independent of the others."""


_ROUNDING = 1e-6
"""Of a sample at the edge of the budget, in units of [0, 1]."""


class Threat(Record):
    """An attack, its criterion, and how often it is tried.

    Args:
        name: for tables.
        kind: the attacker's knowledge: gradients, outputs, another network, nothing (noise), or something else.
        attack: one try.
        criterion: the loss that the attack ascends.
        restarts: tries per sample (and target), with fresh random draws each.
        targets: 0 for an untargeted attack; k tries the k most likely wrong classes of the clean sample as targets.
        rest_only: whether an evaluation tries it only on samples that no earlier threat of this norm and at most this
            epsilon has fooled, each until its first success. Its accuracy is then that of all threats so far.
    """

    name: str
    kind: Literal["white-box", "black-box", "transfer", "noise", "other"]
    attack: Attack
    criterion: Criterion = CrossEntropy()
    restarts: Count = 1
    targets: Annotated[int, Field(ge=0)] = 0
    rest_only: bool = False

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
    batch_size: int = 1,
) -> Fooled:
    """Try a threat on a classifier; a sample is not attacked further once it is fooled.

    Args:
        threat: the attack and its settings.
        classify: the classifier, in the mode and precision to be attacked.
        x: `(n, *space.shape)`.
        labels: the true classes.
        network: the network that `classify` runs; left unchanged.
        space: shape and range of the samples.
        rng: of all restarts, and of what a randomised network draws: an attack and the verdict on it see other draws.
        through: a faster form of the same classifier to attack (see `networks.prepared_for_attack`); whether a sample
            is fooled, and its loss, are always judged by `classify`.
        batch_size: tries of a `rest_only` threat on the samples that are left run side by side, as many as fit in a
            batch of this size; others one after the other. The first success of any ends all tries on its sample.
    """
    attacked, judged = rng.branch("noise of attacks"), rng.branch("noise of verdicts")
    with untraced(network), torch.no_grad():
        with noise_from(judged):
            batch = _Batch(threat, classify, through or classify, x.detach(), labels, space)
        tries = threat.restarts * batch.targets()
        while tries:
            rest = (~batch.fooled).nonzero()[:, 0]
            if not len(rest):
                break
            together = max(1, batch_size // len(rest)) if threat.rest_only else 1
            with noise_from(attacked):
                candidates = batch.search(rest, tries[:together], network=network, rng=rng)
            with noise_from(judged):
                for found in candidates:
                    batch.keep(rest, found)
            tries = tries[together:]
    return Fooled(batch.samples, batch.fooled, batch.start, batch.end, batch.forwards, batch.backwards)


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

    return threat.attack.perturb(x, loss, network=network, space=space, rng=rng)


class _Batch:
    """The samples of one call of `fool`, the best perturbation of each so far, and what it cost."""

    def __init__(
        self, threat: Threat, classify: Classify, through: Classify, x: Samples, labels: Labels, space: Space
    ) -> None:
        self.threat, self._classify, self._through, self.labels, self.space = threat, classify, through, labels, space
        self.x, self.samples = x, x.clone()
        self.forwards, self.backwards = (torch.zeros_like(labels) for _ in range(2))
        everything = torch.arange(len(x), device=x.device)
        self._clean = self._logits(classify, x, everything)
        self.fooled, self.start = self._clean.argmax(-1) != labels, threat.criterion.loss(self._clean, labels)
        self.end = self.start.clone()

    def targets(self) -> list[Labels | None]:
        """The target classes of every try, `(n)` each; None for an untargeted attack."""
        count = min(self.threat.targets, self._clean.shape[-1] - 1)
        return list(wrong_classes(self._clean, self.labels, count).unbind(1)) if count else [None]

    def search(
        self, rest: Rows, targets: Sequence[Labels | None], *, network: nn.Module, rng: Rng
    ) -> Sequence[Samples]:
        """One try for each of the targets on the samples of these rows, side by side."""
        criterion, rows = self.threat.criterion, rest.repeat(len(targets))
        aims = [each[rest] for each in targets if each is not None]
        toward = torch.cat(aims) if aims else None
        x, labels = self.x[rows], self.labels[rows]

        def logits(samples: Samples, tries: Rows) -> Logits:
            return self._logits(self._through, samples, rows[tries])

        def loss(logits: Logits, tries: Rows) -> Losses:
            own = labels[tries]
            return criterion.loss(logits, own) if toward is None else criterion.toward(logits, own, toward[tries])

        def judge(samples: Samples, tries: Rows) -> tuple[Samples, Bool[Tensor, " m"]]:
            return self._judge(samples, rows[tries])

        run = partial(self.threat.attack.perturb, network=network, space=self.space, rng=rng)
        if self.threat.rest_only:
            until = EarlyStop(x, labels, rows, logits=logits, loss=loss, judge=judge)
            return until.first(run(x, until)).chunk(len(targets))
        every = torch.arange(len(rows), device=rows.device)
        return [run(x, lambda z: loss(logits(z, every), every))]

    def keep(self, rest: Rows, found: Samples) -> None:
        """Keep what fools, or else raises the loss, of one try on the samples of these rows; not if fooled already."""
        left = ~self.fooled[rest]
        rest, found = rest[left], found[left]
        if not len(rest):
            return
        own = self.labels[rest]
        logits = self._logits(self._classify, found, rest)
        wrong, loss = logits.argmax(-1) != own, self.threat.criterion.loss(logits, own)
        better = wrong | (loss > self.end[rest])
        self.samples[rest[better]], self.end[rest[better]] = found[better], loss[better]
        self.fooled[rest] = wrong

    @torch.no_grad()
    def _judge(self, samples: Samples, rows: Rows) -> tuple[Samples, Bool[Tensor, " m"]]:
        """The samples of these rows within the budget and the range, and whether they fool `classify` itself.

        A sample that was farther away does not count.
        """
        confined = self.threat.attack.confine(self.x[rows], samples, self.space)
        success = (confined - samples).flatten(1).abs().amax(1) <= _ROUNDING * self.space.width
        if success.any():
            near = rows[success]
            wrong = self._logits(self._classify, confined[success], near).argmax(-1) != self.labels[near]
            success[success.clone()] = wrong
        return confined, success

    def _logits(self, classifier: Classify, samples: Samples, rows: Rows) -> Logits:
        """The logits of the samples of these rows, counted as calls."""
        logits = classifier(samples)
        self.forwards.index_add_(0, rows, torch.ones_like(rows))  # a row may be tried more than once
        if logits.requires_grad:
            logits.register_hook(partial(self._count_backward, rows))  # type: ignore[no-untyped-call]
        return logits

    def _count_backward(self, rows: Rows, _gradient: Tensor) -> None:
        self.backwards.index_add_(0, rows, torch.ones_like(rows))
