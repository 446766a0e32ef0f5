"""Data sources: batches as a function of (seed, number), in the declared shape and range."""

from __future__ import annotations

import torch

from sparring.core.randomness import Rng, Streams
from sparring.data import Data


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


CONTRACTS = {Data: check_data}
