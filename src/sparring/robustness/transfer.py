"""Transfer: adversarial samples made of one network, shown to another.

Source: Papernot et al. 2017, Practical black-box attacks against machine learning, for the substitute; Rob-GAN, course
notes 2.2, for the matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.attacks import Threat, attempt
from sparring.core.errors import UsageError
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples
from sparring.networks.initial import initialise, xavier_uniform
from sparring.robustness.budgets import scales
from sparring.robustness.checks import rate
from sparring.robustness.targets import Subject, subject_of
from sparring.runs.schema import TransferMatrix

_WIDTH = 128
_UPDATES = 300
_BATCH = 100
_RATE = 1e-3


def made_of(source: Subject, threat: Threat, x: Samples, labels: Tensor, *, rng: Rng) -> Samples:
    """Adversarial samples of one network, of every sample whether it is misclassified or not."""
    network, space, size = source.network, source.space, source.at_once
    parts = zip(torch.split(x, size), torch.split(labels, size), strict=True)
    return torch.cat([attempt(threat, source.logits, *part, network=network, space=space, rng=rng) for part in parts])


def transfer_matrix(subjects: Sequence[Subject], threat: Threat, *, seed: int = 0) -> TransferMatrix:
    """Accuracy of every network on adversarial samples of every network; all on the first one's samples.

    Args:
        subjects: at least one; each is a source and a target.
        threat: tried once on every source.
        seed: of its random starts.

    Returns:
        Row = source, column = target; a sample counts as right where the target is right on it and on its clean
        version.

    Raises:
        UsageError: the networks know unlike classes, or see unlike samples.
    """
    first = subjects[0]
    for other in subjects[1:]:
        require_alike(first, other)
    x, labels = first.samples, first.labels
    clean = [_right(subject, x, labels) for subject in subjects]
    rows = []
    for source in subjects:
        moved = made_of(source, threat, x, labels, rng=Rng.of(seed, x.device))
        rows.append(
            [rate(right & _right(target, moved, labels)) for right, target in zip(clean, subjects, strict=True)]
        )
    names, epsilon = tuple(subject.name for subject in subjects), threat.attack.epsilon
    return TransferMatrix(
        sources=names,
        targets=names,
        accuracy=tuple(tuple(cell.value for cell in row) for row in rows),
        interval=tuple(tuple(cell.interval for cell in row) for row in rows),
        epsilon=epsilon,
        scales=scales(epsilon, first.space),
        attack=threat.name,
    )


def require_alike(subject: Subject, other: Subject) -> None:
    """Refuse a transfer between networks that do not answer the same question.

    Raises:
        UsageError: they know unlike numbers of classes, or see samples of unlike shapes or ranges.
    """
    ours, theirs = ((each.space.shape, each.space.bounds, len(each.classes)) for each in (subject, other))
    if ours != theirs:
        told = f"transfer from {other.name}: it sees samples of {_told(*theirs)}, {subject.name} sees {_told(*ours)}"
        raise UsageError(told, "transfer between networks of the same data, and the same head")


def substitute(subject: Subject, *, seed: int = 0) -> Subject:
    """A small network taught to say what the subject says: what an attacker has who may only ask.

    It learns from the training samples where there are any, else from the samples themselves, by the subject's answers.

    Args:
        subject: who is imitated.
        seed: of the initial weights and the order of samples.
    """
    samples = subject.samples if subject.training is None else subject.training.samples
    rng, device = Rng.of(seed, samples.device), samples.device
    answers = subject.answers(samples).argmax(1)
    with torch.random.fork_rng(devices=[]):
        layers = (nn.Linear(samples[0].numel(), _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, len(subject.classes)))
        network = nn.Sequential(nn.Flatten(), *layers)
    initialise(network, lambda _name: xavier_uniform(2.0**0.5), rng=Rng.of(seed))
    network.to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=_RATE)
    for _ in range(_UPDATES):
        picked = rng.integers((_BATCH,), len(samples))
        optimizer.zero_grad()
        F.cross_entropy(network(samples[picked]), answers[picked]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    made = subject_of(network, subject.samples, subject.labels, low=None, high=None, classes=subject.classes)
    return replace(made, name=f"a substitute of {subject.name}", space=subject.space)


def _right(subject: Subject, x: Samples, labels: Tensor) -> Tensor:
    return subject.answers(x).argmax(1) == labels


def _told(shape: tuple[int, ...], bounds: tuple[float, float] | None, classes: int) -> str:
    span = "no range" if bounds is None else f"the range [{bounds[0]:g}, {bounds[1]:g}]"
    return f"shape {shape} and {span} in {classes} classes"
