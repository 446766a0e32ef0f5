"""Symptoms of a collapse: what each looks like in the vitals of a check, and what to do about it.

A generator that has not begun is nearly constant too. Until its samples first spread, or lie where real ones do, it is
excused up to half of the budget and 500 rounds, unless it is constant to the last digit. The thresholds lie between
what planted collapses and healthy games were seen to measure.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

CONSTANT = 0.003
"""A generator of less spread than this is constant."""
NARROW = 0.1
"""A generator of less spread than this makes one sample only, or one mode."""
FEW = 1.5
"""An effective number of at most this is one."""
NEAR = 1.5
"""Samples at most this much farther from the nearest real one than real ones are resemble them."""
SPREAD, AMONG, OUT = 0.5, 1.15, 0.5
"""A generator has begun that once spread this much, or whose samples were this near to real ones and this far out."""
PATIENCE, AT_LEAST = 0.5, 500
"""The share of the budget, and the rounds, after which a generator that has not begun is excused no more."""
ALIKE = 1e-3
"""Scores that differ by less than this part of the largest are one score."""
FLAT = 0.01
"""A slope of less than this part of the usual one teaches nothing."""
BEYOND, FAINT = 0.98, 0.02
"""From this share of scores beyond 10 on, a slope of D's payoffs below the second teaches D nothing."""
SURE = 1.05
"""An effective number of predicted classes of at most this is one class for everything."""


class Check(dict[str, float]):
    """The numbers of one game at a check; what was not measured is NaN, which shows nothing."""

    def __missing__(self, name: str) -> float:
        return math.nan


@dataclass(frozen=True)
class Symptom:
    """What a collapse looks like at a check.

    Args:
        kind: its name.
        cause, remedy: what it is and what to do, a line each.
        shows: whether a check shows it, given whether G has begun, or the budget is half spent.
        covers: kinds that need not be told beside this one.
    """

    kind: str
    cause: str
    remedy: str
    shows: Callable[[Check, bool], bool]
    covers: tuple[str, ...] = ()


def begins(check: Check) -> bool:
    """Whether G is seen to have begun: its samples spread, or lie where real ones do."""
    is_among_real = check["vital_distance"] < AMONG and check["vital_radius"] >= OUT
    return check["vital_spread"] >= SPREAD or is_among_real


def _is_one_mode(check: Check, begun: bool) -> bool:
    narrow = check["vital_spread"] < NARROW
    return begun and (narrow or (check["vital_anchors"] <= FEW and check["vital_distance"] < NEAR))


def _is_one_class(check: Check, begun: bool) -> bool:
    return begun and check["vital_classes"] <= FEW and check["vital_distance"] < NEAR


def _is_saturated(check: Check, _begun: bool) -> bool:
    learns_nothing = check["vital_far"] >= BEYOND and check["vital_slope_discriminator"] < FAINT
    return learns_nothing or check["vital_slope_generator"] < FLAT or check["vital_steepness"] < FLAT


SYMPTOMS = (
    Symptom(
        "constant generator",
        "G makes the same sample of every latent",
        "train again with a lower learning rate of G, or with batch normalisation in G",
        lambda check, _begun: check["vital_spread"] < CONSTANT,
        covers=("one mode", "one class"),
    ),
    Symptom(
        "one mode",
        "all samples of G are around one point",
        "train again with lower learning rates, another objective, or another Lipschitz control of D",
        _is_one_mode,
        covers=("one class",),
    ),
    Symptom(
        "one class",
        "all samples of G are of one class",
        "train again with lower learning rates, another objective, or a conditional G",
        _is_one_class,
    ),
    Symptom(
        "constant discriminator",
        "D gives every sample the same score, so it teaches G nothing",
        "train again with a lower learning rate of D, or with a looser Lipschitz control",
        lambda check, _begun: check["vital_score_spread"] < ALIKE,
        covers=("saturated discriminator",),
    ),
    Symptom(
        "saturated discriminator",
        "D's scores are where payoffs, or D itself, are flat: next to no gradient is left to learn from",
        "train again with a lower learning rate of D, a Lipschitz control, or an objective that does not saturate",
        _is_saturated,
    ),
    Symptom(
        "one predicted class",
        "every real sample is taken for the same class",
        "train again with a lower learning rate, or with a weaker attack or a longer warmup",
        lambda check, _begun: check["vital_predicted"] <= SURE,
    ),
)
"""Every symptom; those that cover others first."""
