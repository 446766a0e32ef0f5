"""Vitals: a few cheap numbers that tell whether a network has collapsed, measured at checks throughout a run.

Networks are looked at as they play (train mode, G itself and not its running mean) and left without a trace.

    effective number of shares p = exp(-sum p log p)
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

CHECKS = 50
"""Checks a run: every 2 % of the budget, whatever the interval of the log."""

VITALS = {
    "vital_spread": "spread of generated samples over that of real ones",
    "vital_distance": "mean distance of generated samples to the nearest anchor, over that of other real samples",
    "vital_radius": "rms distance of generated samples from the mean of real ones, over that of real samples",
    "vital_anchors": "effective number of anchors that generated samples are nearest to",
    "vital_classes": "effective number of classes of generated samples",
    "vital_score_spread": "standard deviation of D's scores over the largest of them",
    "vital_steepness": "change of D's score over the spread of the data, in standard deviations of its scores",
    "vital_far": "share of scores beyond 10",
    "vital_slope_generator": "slope of G's payoff at its samples' scores, over the largest near 0",
    "vital_slope_discriminator": "slope of D's payoffs at scores of its size that are right, over the largest near 0",
    "vital_predicted": "effective number of classes predicted for real samples",
}
"""What every number of a check is."""


Numbers = dict[str, float | list[float]]


def interval(steps: int) -> int:
    """The interval of checks in rounds."""
    return max(1, steps // CHECKS)


def effective_number(found: Tensor, count: int) -> Tensor:
    """exp(entropy) of how often each of `count` kinds was found: `(*batch) -> (*lead)`, from 1 to `count`."""
    shares = F.one_hot(found, count).double().mean(-2)
    number: Tensor = torch.special.entr(shares).sum(-1).exp()
    return number


def noted(found: Mapping[str, Tensor]) -> Numbers:
    """The numbers of a check for the log; a list with replicas."""
    return {name: values.tolist() for name, values in found.items()}
