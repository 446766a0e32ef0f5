"""Data sources and metrics: repeatable, within their declared shapes and ranges, without global random state."""

from __future__ import annotations

import torch
from torch import Tensor

from sparring.core.randomness import Rng, Streams
from sparring.core.shapes import FeaturesAndLogits
from sparring.data import Data
from sparring.metrics import Metric, RealFeatures, Reference


def check_data(data: Data) -> None:
    source = data.open(torch.device("cpu"))
    single, packed = Streams(4), Streams(3, 2)
    batch = source.batch(7, 6, single)
    assert batch.samples.shape == (6, *source.facts.shape), "samples have the declared shape"
    assert batch.samples.dtype == torch.float32
    assert torch.equal(batch.samples, source.batch(7, 6, single).samples), "a batch is a function of (seed, number)"
    assert torch.equal(batch.samples, source.batch(7, 6, packed).samples[1]), "a replica has the batch of a single game"
    assert data.bounded == (source.facts.bounds is not None), "`bounded` agrees with the opened source"
    if source.facts.bounds is not None:
        low, high = source.facts.bounds
        held_out = source.held_out(32, rng=Rng.of(0)).samples
        assert low <= held_out.min() and held_out.max() <= high, "samples lie in the declared range"


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
