"""Example images of trials, clean and attacked, with what was changed magnified, as robustness.npz has them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from sparring.attacks import width_of
from sparring.core.balls import Linf
from sparring.core.shapes import Samples
from sparring.robustness.targets import Subject
from sparring.robustness.trials import SHOWN, Trial


def examples_of(subject: Subject, trials: Sequence[Trial]) -> dict[str, Tensor]:
    """The first images of every trial; nothing where samples are no images.

    Args:
        subject: whose samples they are.
        trials: k of them.

    Returns:
        clean, adversarial: uint8 `(k, n, channels, height, width)`; perturbation: int8 of the same shape, 127 where a
        pixel moved by epsilon, or in other norms by as much as any pixel did; labels, predicted_clean, predicted:
        int64 `(k, n)`.
    """
    bounds = subject.space.bounds
    if not trials or bounds is None or len(subject.space.shape) != 3:
        return {}
    clean, labels = subject.samples[:SHOWN], subject.labels[:SHOWN]
    with torch.no_grad():
        predicted = subject.logits(clean).argmax(1)
    found = {
        "clean": [_as_levels(clean, bounds)] * len(trials),
        "adversarial": [_as_levels(trial.shown, bounds) for trial in trials],
        "perturbation": [_magnified(trial, clean, subject) for trial in trials],
        "labels": [labels] * len(trials),
        "predicted_clean": [predicted] * len(trials),
        "predicted": [trial.predicted for trial in trials],
    }
    return {name: torch.stack(parts).cpu() for name, parts in found.items()}


def _as_levels(images: Samples, bounds: tuple[float, float]) -> Tensor:
    low, high = bounds
    return ((images - low) / (high - low) * 255 + 0.5).floor().clamp(0, 255).to(torch.uint8)


def _magnified(trial: Trial, clean: Samples, subject: Subject) -> Tensor:
    moved = trial.shown - clean
    limit = trial.epsilon * width_of(subject.space) if trial.norm == Linf.norm else float(moved.abs().max())
    return (127 * moved / max(limit, 1e-12)).round().clamp(-127, 127).to(torch.int8)
