"""Samples of an evaluation are read a batch at a time, so that sets larger than memory can be attacked."""

from __future__ import annotations

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from robust_models import CPU, sound
from sparring.core.balls import Linf
from sparring.core.randomness import Rng, Streams
from sparring.data import ArraySource, Ring, SampleSet, prepare
from sparring.data.store import Store
from sparring.robustness import transfer
from sparring.robustness.load import RobustnessOptions, open_targets
from sparring.robustness.own_model import OwnModel
from sparring.robustness.radius import robust_radii
from sparring.robustness.targets import Target
from sparring.robustness.worst_case import robust_accuracy

BATCH = 50


class CountedRows:
    """Samples that count how many of them are held at once, and how many of them ever were."""

    def __init__(self, samples: Tensor) -> None:
        self._samples = samples
        self.held = self.most = 0

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, rows: slice | Tensor, /) -> Tensor:
        read = self._samples[rows].clone()
        self.held += len(read)
        self.most = max(self.most, self.held)
        weakref.finalize(read, self._dropped, len(read))
        return read

    def _dropped(self, count: int) -> None:
        self.held -= count


def network() -> nn.Module:
    """A classifier of two pixels by the larger one."""
    layer = nn.Linear(64, 2)
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[0, 0] = layer.weight[1, 1] = 1.0
        layer.bias.zero_()
    return nn.Sequential(nn.Flatten(), layer)


def random_target(count: int) -> Target:
    """Random images with the classes that the network gives them."""
    x = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    classifier = network()
    return replace(
        sound("linear"), network=classifier, samples=x, labels=classifier(x).argmax(1), classes=("left", "right")
    )


@pytest.mark.usefixtures("unchecked")
def test_an_evaluation_never_holds_the_whole_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Target, "batch_size", BATCH)
    held = random_target(6 * BATCH)
    test, training = CountedRows(held.samples[:]), CountedRows(held.samples[:])
    streamed = replace(held, samples=test, training=SampleSet(training, held.labels))
    held = replace(held, training=SampleSet(held.samples, held.labels))
    results = [
        robust_accuracy(
            target,
            epsilons=[0.1],
            threats="fgsm,noise",
            transfer_from=[replace(sound("linear"), network=network(), classes=("left", "right"))],
            folder=tmp_path / f"{index}",
        ).robustness.model_copy(update={"attacks": ()})
        for index, target in enumerate((held, streamed))
    ]
    assert results[0] == results[1], "streamed or not, the result is the same"
    robust_radii(streamed, Linf(), steps=2)
    assert max(test.most, training.most) <= 2 * BATCH
    monkeypatch.setattr(transfer, "_UPDATES", 3)
    transfer.substitute(streamed)
    assert training.most <= 200, "two batches of its training"


def test_a_store_is_read_by_batches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Target, "batch_size", BATCH)
    prepare("digits", tmp_path / "store")
    counts, read = [], ArraySource.read

    def counted(source: ArraySource, arrays: Any, indices: Tensor) -> Any:
        counts.append(len(indices))
        return read(source, arrays, indices)

    monkeypatch.setattr(ArraySource, "read", counted)
    model = OwnModel(model=f"{__name__}:ten_classes")
    (target,) = open_targets(model, RobustnessOptions(data=str(tmp_path / "store"), samples=300), "cpu").targets
    target.correct(target.samples)
    assert target.training is not None
    target.predicted_logits(target.training.samples)
    assert max(counts) == BATCH and len(target.samples) == len(target.training.samples) == 300
    source = Store(path=str(tmp_path / "store")).open(CPU)
    whole = source.held_out(300, rng=Streams(0, None, CPU).rng("robustness/samples"))
    assert whole.labels is not None
    assert torch.equal(target.samples[:], whole.samples) and torch.equal(target.labels, whole.labels)
    assert torch.equal(target.training.samples[:], source.batch(0, 300, Streams(0)).samples)
    rows = torch.tensor([7, 0, 7])
    assert torch.equal(target.samples[rows], whole.samples[rows])


def test_a_model_in_fp64_is_evaluated_in_fp32(tmp_path: Path) -> None:
    prepare("digits", tmp_path / "store")
    options = RobustnessOptions(data=str(tmp_path / "store"), samples=20)
    (target,) = open_targets(OwnModel(model=f"{__name__}:in_fp64"), options, "cpu").targets
    assert target.training is not None
    for samples in (target.samples, target.training.samples):
        assert samples[:2].dtype == torch.float32
        assert target.predicted_logits(samples).shape == (20, 10)


def ten_classes() -> nn.Module:
    """Any classifier of the digits."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def in_fp64() -> nn.Module:
    """The same in fp64."""
    return ten_classes().double()


def test_data_without_arrays_give_the_same_samples_as_ever() -> None:
    ring = Ring().open(CPU)
    drawn = ring.evaluation_set(9, rng=Rng.of(4))
    assert torch.equal(drawn.samples[:], ring.held_out(9, rng=Rng.of(4)).samples)
    assert torch.equal(ring.training_set(9, Streams(1)).samples[:], ring.batch(0, 9, Streams(1)).samples)
