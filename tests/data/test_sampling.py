"""Sampling order and augmentation against their definitions: functions of (seed, epoch) and of (seed, position)."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sparring.core.pieces import find, members
from sparring.core.randomness import Rng, Streams
from sparring.core.records import InvalidRecord
from sparring.core.shapes import IMAGE_BOUNDS
from sparring.data import (
    ArraySource,
    Augmentation,
    Batch,
    Data,
    Dequantize,
    Facts,
    HorizontalFlip,
    ImageArrays,
    Order,
    PaddedCrop,
    ResizedCrop,
)
from sparring.data import arrays as arrays_module

CPU = torch.device("cpu")
COUNT = 23


def numbered_source(*augment: Augmentation) -> ArraySource:
    """Every sample's first value and label tell its index."""
    generator = torch.Generator().manual_seed(0)
    samples = torch.randint(0, 256, (COUNT, 3, 4, 4), dtype=torch.uint8, generator=generator)
    samples[:, 0, 0, 0] = torch.arange(COUNT)
    train = ImageArrays(samples, torch.arange(COUNT))
    facts = Facts((3, 4, 4), IMAGE_BOUNDS, tuple(map(str, range(COUNT))))
    return ArraySource(facts, train, train, scale=127.5, augment=augment, device=CPU)


def labels_of(batch: Batch) -> Tensor:
    assert batch.labels is not None
    return batch.labels


def in_order(source: ArraySource, size: int, total: int, streams: Streams) -> tuple[Tensor, Tensor]:
    """The first `total` training samples and labels, read in batches of `size`."""
    batches = [source.batch(number, size, streams) for number in range(-(-total // size))]
    samples = torch.cat([batch.samples for batch in batches], dim=len(streams.lead))
    labels = torch.cat([labels_of(batch) for batch in batches], dim=-1)
    return samples.narrow(len(streams.lead), 0, total), labels[..., :total]


@given(
    count=st.integers(1, 40),
    size=st.integers(1, 100),
    seed=st.integers(0, 5),
    replicas=st.sampled_from([None, 1, 3]),
)
@settings(deadline=None, max_examples=60)
def test_every_sample_comes_once_an_epoch(count: int, size: int, seed: int, replicas: int | None) -> None:
    order, streams, epochs = Order(count, CPU), Streams(seed, replicas), 3
    picks = [order.batch(number, size, streams) for number in range(-(-epochs * count // size))]
    whole = torch.cat([pick.indices for pick in picks], dim=-1)[..., : epochs * count]
    assert whole.shape == (*streams.lead, epochs * count)
    rows = whole.reshape(*streams.lead, epochs, count)
    expected = torch.stack([streams.rng("order", epoch).permutation(count) for epoch in range(epochs)], dim=-2)
    torch.testing.assert_close(rows, expected)
    torch.testing.assert_close(rows.sort(-1).values, torch.arange(count).expand_as(rows))
    positions = torch.cat([pick.positions for pick in picks])
    torch.testing.assert_close(positions, torch.arange(len(positions)))


@pytest.mark.parametrize("size", [1, 7, 64])
def test_batches_do_not_depend_on_their_size(size: int) -> None:
    source = numbered_source(HorizontalFlip(), Dequantize())
    samples, labels = in_order(source, size, 3 * COUNT, Streams(1))
    whole, whole_labels = in_order(numbered_source(HorizontalFlip(), Dequantize()), 3 * COUNT, 3 * COUNT, Streams(1))
    torch.testing.assert_close(samples, whole, rtol=0, atol=0)
    torch.testing.assert_close(labels, whole_labels)


def test_a_replica_sees_what_a_single_game_of_its_seed_sees() -> None:
    packed, labels = in_order(numbered_source(HorizontalFlip(), Dequantize()), 5, 2 * COUNT, Streams(7, 3))
    assert packed.shape == (3, 2 * COUNT, 3, 4, 4)
    for row in range(3):
        alone, alone_labels = in_order(numbered_source(HorizontalFlip(), Dequantize()), 5, 2 * COUNT, Streams(7 + row))
        torch.testing.assert_close(packed[row], alone, rtol=0, atol=0)
        torch.testing.assert_close(labels[row], alone_labels)
    assert not torch.equal(labels[0], labels[1])


def test_flip_mirrors_half_of_the_samples_whole() -> None:
    x = torch.rand(4000, 2, 3, 4)
    y = HorizontalFlip()(x, torch.arange(4000))
    same = (y == x).flatten(1).all(1)
    mirrored = (y == x.flip(-1)).flatten(1).all(1)
    assert bool((same ^ mirrored).all())
    assert 0.46 < mirrored.double().mean() < 0.54


def test_dequantize_fills_the_bin_of_every_byte() -> None:
    byte = torch.arange(256.0).reshape(256, 1, 1, 1).expand(256, 1, 32, 32)
    y = Dequantize()(byte / 127.5 - 1, torch.arange(256))
    spread = (y.double() + 1) * 128 - byte
    assert float(spread.min()) > -1e-4
    assert float(spread.max()) < 1 + 1e-4
    assert bool(((spread.mean((1, 2, 3)) - 0.5).abs() < 0.06).all())
    assert abs(float(spread.var()) - 1 / 12) < 2e-3
    assert float(y.min()) >= -1
    assert float(y.max()) < 1


def test_a_padded_crop_moves_by_whole_pixels_into_black() -> None:
    x = torch.rand(2000, 2, 3, 5) * 2 - 1
    y = PaddedCrop(padding=2)(x, torch.arange(2000))
    bordered = F.pad(x, (2,) * 4, value=-1)
    places = [(down, right) for down in range(5) for right in range(5)]
    matches = torch.stack([(bordered[..., d : d + 3, r : r + 5] == y).flatten(1).all(1) for d, r in places])
    assert bool((matches.sum(0) == 1).all())
    share = matches.double().mean(1)
    assert ((share > 0.02) & (share < 0.06)).all()


def test_a_resized_crop_is_a_square_within_the_image() -> None:
    """On ramps bilinear sampling is exact, so corners tell side and place."""
    count, edge = 4000, 32
    ramp = (torch.arange(edge) + 0.5) / edge * 2 - 1
    x = torch.stack([ramp[:, None].expand(edge, edge), ramp.expand(edge, edge)])
    y = ResizedCrop()(x.expand(count, 2, edge, edge), torch.arange(count)).double()
    down, right = y[:, 0, :, edge // 2], y[:, 1, edge // 2]
    steps = torch.stack([down.diff(dim=-1), right.diff(dim=-1)])[..., 2:-2]  # but for the border half a pixel wide
    side = steps.mean(-1) * edge / 2
    torch.testing.assert_close(side[0], side[1], rtol=1e-4, atol=1e-5)
    area = side[0] ** 2
    assert 0.8 - 1e-4 < float(area.min()) < 0.801 and 0.899 < float(area.max()) < 0.9 + 1e-4
    assert abs(float(area.mean()) - 0.85) < 0.002
    for place in (down, right):
        middle = place[:, edge // 2 - 1 : edge // 2 + 1].mean(-1)
        share = middle / (1 - side[0])
        assert -1.001 < float(share.min()) < -0.98 and 0.98 < float(share.max()) < 1.001
        assert abs(float(share.mean())) < 0.05


def test_a_resized_crop_of_everything_changes_nothing() -> None:
    x = torch.rand(5, 3, 8, 8) * 2 - 1
    torch.testing.assert_close(ResizedCrop(smallest=1.0, largest=1.0)(x, torch.arange(5)), x)
    with pytest.raises(InvalidRecord):
        ResizedCrop(smallest=0.9, largest=0.8)


@pytest.mark.parametrize("name", members(Augmentation))
def test_every_augmentation_keeps_shape_and_range(name: str) -> None:
    member = find(Augmentation, name)()
    x = torch.rand(2, 5, 3, 4, 4) * 2 - 1
    key = torch.arange(10).reshape(2, 5)
    y = member(x, key)
    assert y.shape == x.shape
    assert y.dtype == torch.float32
    assert float(y.abs().max()) <= 1
    torch.testing.assert_close(y[1, 3:4], member(x[1, 3:4], key[1, 3:4]), rtol=0, atol=0)


def test_held_out_is_a_random_subset_without_augmentation() -> None:
    source = numbered_source(Dequantize())
    some = source.held_out(10, rng=Rng.of(0))
    assert len(set(labels_of(some).tolist())) == 10
    torch.testing.assert_close(some.samples[:, 0, 0, 0], labels_of(some) / 127.5 - 1)
    assert len(source.held_out(1000, rng=Rng.of(0)).samples) == COUNT
    assert not torch.equal(labels_of(some), labels_of(source.held_out(10, rng=Rng.of(1))))


@pytest.mark.parametrize(("free", "moved"), [(4 * 192 + 1, True), (4 * 192, False)])
def test_arrays_move_if_they_take_under_a_quarter_of_the_free_memory(
    free: int, moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10 * free))
    assert arrays_module._fits(192, torch.device("cuda")) is moved
    assert not arrays_module._fits(0, CPU)


def test_digits_are_the_published_ones() -> None:
    source = find(Data, "digits")().open(CPU)
    assert source.facts.shape == (1, 8, 8)
    assert source.facts.bounds == IMAGE_BOUNDS
    train, test = source.batch(0, 1437, Streams(0)), source.held_out(9999, rng=Rng.of(0))
    assert len(test.samples) == 360
    counts = labels_of(train).bincount() + labels_of(test).bincount()
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    for samples in (train.samples, test.samples):
        assert (float(samples.min()), float(samples.max())) == (-1, 1)
    # The mean level of all digits, 4.8842 of 16, is a fact about the published file.
    mean = (train.samples.double().sum() + test.samples.double().sum()) / (1797 * 64)
    assert float(mean) == pytest.approx(4.884164579855314 / 8 - 1, abs=1e-9)


def test_a_share_is_the_same_for_every_seed_and_measures_see_the_whole() -> None:
    source = numbered_source(HorizontalFlip())
    few = source.reduced(0.3)
    chosen = set(in_order(few, 4, 7, Streams(0))[1].tolist())
    assert few.facts.count == len(chosen) == 7 and few.facts.fingerprint == source.facts.fingerprint
    assert set(in_order(few, 4, 70, Streams(5))[1].tolist()) == chosen
    assert set(labels_of(few.unaugmented().batch(0, 7, Streams(1))).tolist()) == chosen
    rest, validation = few.split(2)
    assert set(labels_of(rest.batch(0, 5, Streams(0))).tolist()) | set(labels_of(validation).tolist()) == chosen
    for whole in (few.whole(), few.unaugmented().whole(), rest.whole(), source.whole()):
        assert whole.facts.count == COUNT
        assert torch.equal(next(whole.training_parts(COUNT)), next(source.training_parts(COUNT)))
        labels = labels_of(whole.batch(0, COUNT, Streams(0)))
        assert torch.equal(whole.batch(0, COUNT, Streams(0)).samples[:, 0, 0, 0].add(1).mul(127.5).round(), labels)
