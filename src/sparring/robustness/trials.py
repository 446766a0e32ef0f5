"""Trial: one threat tried on a target, with its cost and its first images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from sparring.attacks import Dimming, Fooled, Threat, fool, scales, width_of
from sparring.core.balls import Linf
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples
from sparring.robustness.targets import Target, rate
from sparring.robustness.transfer import adversarial_samples, require_same_task
from sparring.runs.schema import ThreatResult

_SHOWN = 8
"""Samples kept as example images."""


@dataclass(frozen=True)
class Trial:
    """The outcome of one threat.

    Args:
        result: its entry of robustness.json.
        correct: which samples are classified correctly, clean and attacked.
        shown: the first attacked samples.
        predicted: their predicted classes.
    """

    result: ThreatResult
    correct: Bool[Tensor, " n"]
    shown: Samples
    predicted: Int[Tensor, " k"]


def try_threat(target: Target, threat: Threat, *, rng: Rng) -> Trial:
    """Try a threat with all of its restarts and targets."""
    began = time.perf_counter()
    network, space = target.network, target.space
    parts = [
        fool(threat, target.logits, x, labels, network=network, space=space, rng=rng, through=target.fast_logits)
        for x, labels in target.batches()
    ]
    fooled = Fooled(*(torch.cat(each) for each in zip(*parts, strict=True)))
    shown = fooled.samples[:_SHOWN]
    result = ThreatResult(
        name=threat.name,
        kind=threat.kind,
        norm=_norm_of(threat),
        epsilon=threat.attack.epsilon,
        scales=scales(threat.attack.epsilon, space),
        accuracy=rate(~fooled.fooled),
        loss_start=_mean(fooled.loss_start),
        loss_end=_mean(fooled.loss_end),
        seconds=time.perf_counter() - began,
        forwards=_mean(fooled.forwards),
        backwards=_mean(fooled.backwards),
        settings=threat.model_dump(mode="json"),
    )
    return Trial(result, ~fooled.fooled, shown, target.predicted_logits(shown).argmax(1))


def try_transfer(target: Target, source: Target, threat: Threat, *, rng: Rng) -> Trial:
    """Try the adversarial samples of another network; only the target's own calls are counted.

    Raises:
        UsageError: the networks have different tasks.
    """
    require_same_task(target, source)
    began = time.perf_counter()
    moved = torch.cat([adversarial_samples(source, threat, x, labels, rng=rng) for x, labels in target.batches()])
    before, after = target.predicted_logits(target.samples), target.predicted_logits(moved)
    labels = target.labels
    correct = (before.argmax(1) == labels) & (after.argmax(1) == labels)
    result = ThreatResult(
        name=f"{threat.name} on {source.name}",
        kind="transfer",
        norm=_norm_of(threat),
        epsilon=threat.attack.epsilon,
        scales=scales(threat.attack.epsilon, target.space),
        accuracy=rate(correct),
        loss_start=_mean(threat.criterion.loss(before, labels)),
        loss_end=_mean(threat.criterion.loss(after, labels)),
        seconds=time.perf_counter() - began,
        forwards=2.0,
        backwards=0.0,
        settings=threat.model_dump(mode="json"),
    )
    return Trial(result, correct, moved[:_SHOWN], after[:_SHOWN].argmax(1))


def example_images(target: Target, trials: Sequence[Trial]) -> dict[str, Tensor]:
    """The first images of every trial; empty where samples are not images.

    Args:
        target: the target of the trials.
        trials: k of them.

    Returns:
        clean, adversarial: uint8 `(k, n, channels, height, width)`; perturbation: int8 of the same shape, 127 for a
        change of epsilon, or in norms other than L-infinity for the largest change; labels, predicted_clean,
        predicted: int64 `(k, n)`.
    """
    bounds = target.space.bounds
    if not trials or bounds is None or len(target.space.shape) != 3:
        return {}
    clean, labels = target.samples[:_SHOWN], target.labels[:_SHOWN]
    blocks = {
        "clean": [_as_bytes(clean, bounds)] * len(trials),
        "adversarial": [_as_bytes(trial.shown, bounds) for trial in trials],
        "perturbation": [_magnified(trial, clean, target) for trial in trials],
        "labels": [labels] * len(trials),
        "predicted_clean": [target.predicted_logits(clean).argmax(1)] * len(trials),
        "predicted": [trial.predicted for trial in trials],
    }
    return {name: torch.stack(parts).cpu() for name, parts in blocks.items()}


def _norm_of(threat: Threat) -> str:
    """The norm of the budget; the attack's own name if it does not search the whole ball."""
    attack = threat.attack
    return attack.name if isinstance(attack, Dimming) or not attack.ball.limited else attack.ball.norm


def _as_bytes(images: Samples, bounds: tuple[float, float]) -> Tensor:
    low, high = bounds
    return ((images - low) / (high - low) * 255 + 0.5).floor().clamp(0, 255).to(torch.uint8)


def _magnified(trial: Trial, clean: Samples, target: Target) -> Tensor:
    moved, result = trial.shown - clean, trial.result
    limit = result.epsilon * width_of(target.space) if result.norm == Linf.norm else float(moved.abs().max())
    return (127 * moved / max(limit, 1e-12)).round().clamp(-127, 127).to(torch.int8)


def _mean(values: Tensor) -> float:
    return float(values.double().mean())
