"""Transfer: adversarial samples of one network, shown to another.

Source: Papernot et al. 2017, Practical black-box attacks against machine learning, for the substitute; Rob-GAN, course
notes 2.2, for the matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor, nn

from sparring.attacks import Threat, attempt, scales
from sparring.classifier.step import fit
from sparring.core.eager_optimizers import EagerAdam
from sparring.core.errors import UsageError
from sparring.core.modules import noise_from
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples
from sparring.networks.initial import GlorotInit, initialise
from sparring.robustness.targets import Target, logits_alone, rate
from sparring.runs.robustness_schema import TransferMatrix

Attempt = Callable[..., Samples]
"""One try of a threat on every sample; the signature is that of `attacks.attempt`."""

_WIDTH = 128
_UPDATES = 300
_BATCH = 100
_RATE = 1e-3


def transfer_matrix(targets: Sequence[Target], threats: Sequence[Threat], *, seed: int = 0) -> TransferMatrix:
    """Accuracy of every network on adversarial samples of every network, all made from the first target's samples.

    A sample counts as correct if the network is correct on it and on its clean version.

    Args:
        targets: at least one, of the same task; each is a source and a target.
        threats: one for each, tried once on it as a source, of one epsilon.
        seed: of its random starts.
    """
    first = targets[0]
    networks = [replace(each, samples=first.samples, labels=first.labels) for each in targets]
    clean = [each.correct(first.samples) for each in networks]
    rows = []
    for source, threat in zip(networks, threats, strict=True):
        hits, rng = [], Rng.of(seed, first.device)
        judged = rng.branch("noise of verdicts")
        for moved, labels in adversarial_batches(source, threat, rng=rng):
            with noise_from(judged):
                hits.append(torch.stack([each.predicted_logits(moved).argmax(1) == labels for each in networks]))
        rows.append([rate(correct & hit) for correct, hit in zip(clean, torch.cat(hits, 1), strict=True)])
    names, epsilon = tuple(each.name for each in targets), threats[0].attack.epsilon
    return TransferMatrix(
        sources=names,
        targets=names,
        accuracy=tuple(tuple(cell.value for cell in row) for row in rows),
        interval=tuple(tuple(cell.interval for cell in row) for row in rows),
        epsilon=epsilon,
        scales=scales(epsilon, first.space),
        attack=" or ".join(dict.fromkeys(threat.name for threat in threats)),
    )


def adversarial_samples(target: Target, threat: Threat, *, rng: Rng, attempt: Attempt = attempt) -> Samples:
    """One try of a threat on all samples of a target, misclassified or not."""
    return torch.cat([moved for moved, _ in adversarial_batches(target, threat, rng=rng, attempt=attempt)])


def adversarial_batches(
    target: Target, threat: Threat, *, rng: Rng, attempt: Attempt = attempt
) -> Iterator[tuple[Samples, Int[Tensor, " n"]]]:
    """The same a batch at a time, with their labels."""
    for x, labels in target.batches(target.samples):
        moved = attempt(threat, target.logits, x, labels, network=target.network, space=target.space, rng=rng)
        yield moved, labels


def require_same_task(target: Target, other: Target) -> None:
    """Refuse a transfer between networks of different tasks.

    Raises:
        UsageError: the numbers of classes, or the shapes or ranges of the samples, differ.
    """
    ours, theirs = _task(target), _task(other)
    if ours != theirs:
        raise UsageError(
            f"transfer from {other.name}: it takes {theirs}, {target.name} takes {ours}",
            "transfer between networks of the same data, and the same head",
        )


def substitute(target: Target, *, seed: int = 0) -> Target:
    """A small network trained on the target's predictions: the surrogate of a black-box attacker.

    It is trained on the training samples if there are any, else on the target's samples.

    Args:
        target: the classifier to imitate.
        seed: of the initial weights and the order of samples.
    """
    samples = target.samples if target.training is None else target.training.samples
    rng, device = Rng.of(seed, target.device), target.device
    predictions = target.predicted_logits(samples).argmax(1)
    with torch.random.fork_rng(devices=[]):
        layers = (nn.Linear(math.prod(target.space.shape), _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, len(target.classes)))
        network = nn.Sequential(nn.Flatten(), *layers)
    initialise(network, lambda _name: GlorotInit(gain=2.0**0.5), rng=Rng.of(seed))
    network.to(device, samples[:1].dtype)
    optimizer = EagerAdam(network.parameters(), lr=_RATE)
    picks = (rng.integers((_BATCH,), len(samples)) for _ in range(_UPDATES))
    fit(network, ((samples[picked], predictions[picked]) for picked in picks), optimizer)
    return replace(target, name=f"a substitute of {target.name}", network=network, read=logits_alone)


def _task(target: Target) -> str:
    bounds = target.space.bounds
    span = "no range" if bounds is None else "the range [{:g}, {:g}]".format(*bounds)
    return f"samples of shape {target.space.shape} and {span} in {len(target.classes)} classes"
