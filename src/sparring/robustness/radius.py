"""The robust radius of every sample: the size of the smallest perturbation that FAB finds for it, and its median.

    r(x) = min { ||d|| : argmax f(x + d) != y, x + d in the range }

What FAB finds is an upper bound of r, exact for linear networks. A misclassified sample has radius 0.

Source: Croce and Hein 2020b, which reports medians and accuracies at several thresholds from one run.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from scipy.stats import binom
from torch import Tensor

from sparring.attacks import FAB, Margin, Threat, attempt
from sparring.attacks.losses import wrong_classes
from sparring.core.balls import Ball
from sparring.core.errors import UsageError
from sparring.core.modules import full_precision, noise_from
from sparring.core.randomness import Streams
from sparring.robustness.targets import Target
from sparring.runs.robustness_schema import MedianRadius

_WHOLE = 1e6
"""No budget, in units of [0, 1]."""


def robust_radii(
    target: Target, ball: Ball, *, steps: int = 100, targets: int = 9, seed: int = 0
) -> Float[Tensor, " n"]:
    """The radius of every sample in units of [0, 1]; infinite where no perturbation was found.

    Args:
        target: left unchanged, bit for bit.
        ball: the norm.
        steps: of FAB.
        targets: the most likely wrong classes that are tried.
        seed: of everything random.

    Raises:
        UsageError: the network has no gradients.
    """
    require_gradients(target)
    attack = FAB(epsilon=_WHOLE, ball=ball, steps=steps)
    threat = Threat(name="FAB", kind="white-box", attack=attack, criterion=Margin(), targets=targets)
    rng = Streams(seed, None, target.device).rng("robustness/radius")
    radii, judged = [], rng.branch("noise of verdicts")
    with full_precision(), noise_from(rng.branch("noise of attacks")):
        for x, labels in target.batches(target.samples):
            logits = target.predicted_logits(x)
            best = torch.where(Margin().loss(logits, labels) < 0, torch.inf, 0.0)
            for aim in wrong_classes(logits, labels, min(targets, logits.shape[1] - 1)).unbind(1):
                moved = attempt(
                    threat, target.fast_logits, x, labels, aim, network=target.network, space=target.space, rng=rng
                )
                size = ball.size(moved - x, 1) / target.space.width
                with noise_from(judged):
                    fooled = target.predicted_logits(moved).argmax(1) != labels
                best = torch.where(fooled, torch.minimum(best, size), best)
            radii.append(best)
    return torch.cat(radii)


def median_radius(target: Target, ball: Ball, *, steps: int = 100, targets: int = 9, seed: int = 0) -> MedianRadius:
    """The median of `robust_radii`, with the 95 % interval of order statistics.

    Args:
        target, ball, steps, targets, seed: as in `robust_radii`.

    Raises:
        UsageError: as there.
    """
    radii = robust_radii(target, ball, steps=steps, targets=targets, seed=seed).sort().values
    ordered = [None if radius == math.inf else radius for radius in radii.tolist()]
    low, high = (int(each) for each in binom.interval(0.95, len(radii), 0.5))  # of the samples below the median
    ends = ordered[low - 1] if low else 0.0, ordered[high] if high < len(radii) else None
    unit = "in the data's units" if target.space.bounds is None else "in units of [0, 1]"
    protocol = (
        f"{unit}: smallest perturbation of FAB, {steps} steps, at most {targets} targets; {len(radii)} samples; "
        "0 where misclassified"
    )
    lower, upper = ordered[(len(radii) - 1) // 2], ordered[len(radii) // 2]
    median = None if lower is None or upper is None else (lower + upper) / 2
    return MedianRadius(norm=ball.norm, median=median, interval=ends, protocol=protocol)


def require_gradients(target: Target) -> None:
    """Refuse a network that FAB cannot attack.

    Raises:
        UsageError: the network has no gradients.
    """
    if not target.gradients:
        raise UsageError(f"{target.name}: a radius needs gradients", "leave out --radius")
