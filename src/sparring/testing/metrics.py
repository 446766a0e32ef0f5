"""Metrics: repeatable, named, with a protocol, without global random state."""

from __future__ import annotations

import torch
from torch import Tensor

from sparring.core.randomness import Rng
from sparring.core.shapes import FeaturesAndLogits
from sparring.metrics import Metric, RealFeatures, Reference


class _Pixels:
    """A classifier whose features are the first pixels."""

    name, sha256 = "toy", "0"

    def extract(self, samples: Tensor) -> FeaturesAndLogits:
        return FeaturesAndLogits(samples.flatten(1)[:, :8], 100 * samples.flatten(1)[:, :2])


def check_metric(metric: Metric) -> None:
    pixels, judge = Rng.of(0).uniform((64, 1, 4, 4)), _Pixels()
    real = RealFeatures(judge, judge.extract(pixels[:32]), judge.extract(pixels[32:]), "halves")
    images = Reference(pixels, None, 0.0, ("a", "b"), judge, real)
    points = Reference(Rng.of(0).normal((2048, 2)), torch.eye(2), 0.1, ("a", "b"), None)
    applicable = [reference for reference in (images, points) if metric.applies(reference)]
    assert applicable, "a metric applies to images or to points"
    for reference in applicable:
        state = torch.random.get_rng_state()
        found = metric.measure(reference.samples, reference)
        assert found == metric.measure(reference.samples, reference), "a measurement can be repeated"
        assert torch.equal(state, torch.random.get_rng_state()), "no global random state is used"
        assert tuple(found) == metric.names, "a metric returns the numbers that it names"
        assert set(metric.shares) <= set(metric.names)
        assert all(0 <= found[name] <= 1 for name in metric.shares), "shares lie in [0, 1]"
        assert metric.protocol(reference, len(reference.samples)), "every number has a protocol"


CONTRACTS = {Metric: check_metric}
