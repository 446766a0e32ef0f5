"""Coverage: modes of a mixture of Gaussians, or classes that a classifier of the data predicts.

A success is a generator of all modes, or of all classes with about the same probability. The paper states no
thresholds, so the criteria here are part of every protocol.

Source: Xu, Li, Jegelka, section 5.1 (modes), section 5.2 and appendix B.2.3 (classes).
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

    The lenient numbers have a distance in place of the standard deviations: `near` times the distance between the two
    closest centres, 0.51 for eight modes on a circle of radius 2. They tell a generator that has found a mode and not
    its width from one that has not found it.

    Args:
        radius: a sample this many standard deviations from the nearest centre, or closer, is of high quality.
        fair_share: the part of its fair share of the samples that a mode needs to count as covered.
        near: the distance of the lenient numbers, as a part of the distance between the two closest centres.
    """

    names: ClassVar[tuple[str, ...]] = ("modes", "high_quality", "success", "modes_lenient", "high_quality_lenient")
    shares: ClassVar[tuple[str, ...]] = ("high_quality", "high_quality_lenient")

    radius: Positive = 3.0
    fair_share: Probability = 0.2
    near: Probability = 1 / 3

    def applies(self, reference: Reference) -> bool:
        return reference.centres is not None

    def measure(self, samples: Tensor, reference: Reference) -> dict[str, float]:
        assert reference.centres is not None
        # By differences: |x|^2 - 2 x c + |c|^2 loses the digits of a small distance far from the origin, and in TF32.
        distances = torch.cdist(samples, reference.centres, compute_mode="donot_use_mm_for_euclid_dist")
        distance, mode = distances.min(dim=1)
        covered, good = self._covered(distance <= self.radius * reference.std, mode, reference.centres)
        lenient, near = self._covered(distance <= self._near(reference), mode, reference.centres)
        return {
            "modes": covered,
            "high_quality": good,
            "success": float(covered == len(reference.centres)),
            "modes_lenient": lenient,
            "high_quality_lenient": near,
        }

    def protocol(self, reference: Reference, count: int) -> str:
        assert reference.centres is not None
        return (
            f"high quality: within {self.radius:g} std ({self.radius * reference.std:g}) of a centre; a mode is "
            f"covered by {self.fair_share:g} of its fair share of high-quality samples; success: all "
            f"{len(reference.centres)} modes; lenient: within {self._near(reference):.2g} of a centre"
        )

    def _covered(self, good: Tensor, mode: Tensor, centres: Tensor) -> tuple[float, float]:
        """The number of modes that the good samples cover, and the share of good samples."""
        share = torch.bincount(mode[good], minlength=len(centres)) / len(good)
        return float((share >= self.fair_share / len(centres)).sum()), float(good.float().mean())

    def _near(self, reference: Reference) -> float:
        """The distance of the lenient numbers; for a single mode, which has no neighbour, the strict one."""
        assert reference.centres is not None
        if len(reference.centres) == 1:
            return self.radius * reference.std
        return self.near * float(torch.pdist(reference.centres).min())


def total_variation(shares: Tensor) -> float:
    """Half the sum of |share - 1/classes|: the distance of a class distribution from uniform, in [0, 1)."""
    return float((shares - 1.0 / len(shares)).abs().sum() / 2)


@piece("classes")
class Classes(Metric):
    """Classes covered by confidently classified samples, and the total variation of the classes from uniform.

    Args:
        confidence: a sample counts as recognisable from this class probability on.
        fair_share: the part of its fair share of the samples that a class needs to count as covered.
        recognisable: the share of recognisable samples that a success needs.
        total_variation: the largest distance from uniform of a success.
    """

    names: ClassVar[tuple[str, ...]] = ("classes", "total_variation", "recognisable", "success")
    shares: ClassVar[tuple[str, ...]] = ("recognisable",)

    confidence: Probability = 0.9
    fair_share: Probability = 0.2
    recognisable: Probability = 0.5
    total_variation: Positive = 0.25

    def applies(self, reference: Reference) -> bool:
        """Whether the real samples are a success themselves; otherwise the classifier is not good enough."""
        return reference.classifier is not None and self.measure(reference.samples, reference)["success"] == 1.0

    def measure(self, samples: Tensor, reference: Reference) -> dict[str, float]:
        assert reference.classifier is not None
        classes = len(reference.classes)
        confidence, label = torch.softmax(reference.classifier.extract(samples).logits, dim=1).max(dim=1)
        sure = confidence >= self.confidence
        share = torch.bincount(label, minlength=classes) / len(samples)
        sure_share = torch.bincount(label[sure], minlength=classes) / len(samples)
        covered = int((sure_share >= self.fair_share / classes).sum())
        distance = total_variation(share)
        recognisable = float(sure.float().mean())
        success = covered == classes and recognisable >= self.recognisable and distance <= self.total_variation
        return {
            "classes": float(covered),
            "total_variation": distance,
            "recognisable": recognisable,
            "success": float(success),
        }

    def protocol(self, reference: Reference, count: int) -> str:
        assert reference.classifier is not None
        classes = len(reference.classes)
        return (
            f"classifier: {reference.classifier.name}; recognisable: class probability >= {self.confidence:g}; a class "
            f"is covered by {self.fair_share:g} of its fair share of recognisable samples; success: all {classes} "
            f"classes, {self.recognisable:g} recognisable, total variation <= {self.total_variation:g}"
        )
