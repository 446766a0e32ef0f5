"""Modes covered and the share of high-quality samples of a mixture of Gaussians.

Source: Xu, Li, Jegelka, section 5.1, where a success is a generator that has learned all modes; the paper states no
criterion, so the one here is part of every protocol.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from sparring.core.pieces import piece
from sparring.core.records import Positive, Probability
from sparring.metrics.base import Metric, Reference


@piece("modes")
class Modes(Metric):
    """Modes with at least `fair_share` / modes of all samples within `radius` standard deviations of their centre.

    Args:
        radius: a sample this many standard deviations from the nearest centre, or closer, is of high quality.
        fair_share: the part of its fair share of the samples that a mode needs to count as covered.
    """

    names: ClassVar[tuple[str, ...]] = ("modes", "high_quality", "success")
    shares: ClassVar[tuple[str, ...]] = ("high_quality",)

    radius: Positive = 3.0
    fair_share: Probability = 0.2

    def applies(self, reference: Reference) -> bool:
        return reference.centres is not None

    def measure(self, samples: Tensor, reference: Reference) -> dict[str, float]:
        assert reference.centres is not None
        distance, mode = torch.cdist(samples, reference.centres).min(dim=1)
        good = distance <= self.radius * reference.std
        count = len(reference.centres)
        share = torch.bincount(mode[good], minlength=count) / len(samples)
        covered = int((share >= self.fair_share / count).sum())
        return {
            "modes": float(covered),
            "high_quality": float(good.float().mean()),
            "success": float(covered == count),
        }

    def protocol(self, reference: Reference, count: int) -> str:
        assert reference.centres is not None
        return (
            f"high quality: within {self.radius:g} std ({self.radius * reference.std:g}) of a centre; a mode is "
            f"covered by {self.fair_share:g} of its fair share of high-quality samples; success: all "
            f"{len(reference.centres)} modes"
        )
