"""The samples that targets are attacked on."""

from __future__ import annotations

import torch
from torch import Tensor

from sparring.core.errors import UsageError
from sparring.core.pieces import members
from sparring.core.process import Progress
from sparring.core.randomness import Streams
from sparring.core.shapes import IMAGE_BOUNDS
from sparring.data import Data, SampleSet, Source, Store
from sparring.recipes import parse_piece
from sparring.runs.own_data import prepared


def named_data(data: str, device: torch.device, progress: Progress) -> tuple[Source, str]:
    """The labelled images of `--data`, opened, and how they were scaled; empty where they were not."""
    is_piece = data in members(Data) or data.startswith("{")
    found = None if is_piece else prepared(Store(path=data), progress, test_fraction=0)
    source = (parse_piece(Data, data) if found is None else found.data).open(device)
    if source.facts.bounds != IMAGE_BOUNDS or not source.facts.classes:
        raise UsageError(f"data = {data}: not labelled images", "give labelled images, for example digits")
    return source, "" if found is None else found.scaling


def evaluation_samples(source: Source, count: int, seed: int, device: torch.device) -> tuple[SampleSet, SampleSet]:
    """Samples for evaluation, and as many training samples, at most all, never augmented."""
    streams = Streams(seed, None, device)
    held_out = source.evaluation_set(count, rng=streams.rng("robustness/samples"))
    return held_out, source.training_set(len(held_out.samples), streams)


def with_generated(real: SampleSet, generated: Tensor) -> SampleSet:
    """Real samples (1) and generated ones (0), alternating, so that every batch holds both; all in memory."""
    samples = torch.stack([real.samples[:], generated], dim=1).flatten(0, 1)
    return SampleSet(samples, torch.tensor([1, 0], device=samples.device).repeat(len(generated)))


def labels_of(samples: SampleSet) -> Tensor:
    """The labels of samples that have some."""
    assert samples.labels is not None
    return samples.labels
