"""Counted draws: of the right distribution, independent, and for packed games, parts and numbers in memory the same."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor

from sparring.core.randomness import Part, Rng, Streams
from sparring.core.randomness.rng import Counted

COUNT = 100_000


def drawn(kind: str, rng: Rng, count: int = COUNT) -> Tensor:
    return {
        "normal": lambda: rng.normal((count,)),
        "uniform": lambda: rng.uniform((count,), -1.0, 3.0),
        "integers": lambda: rng.integers((count,), 12),
        "permutation": lambda: rng.permutation(count),
    }[kind]()


KINDS = ("normal", "uniform", "integers", "permutation")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", [0, 1])
def test_draws_have_their_distribution(dtype: torch.dtype, seed: int) -> None:
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(dtype)
        rng = Streams(seed).counted().rng("latents", 3)
        normal, uniform = drawn("normal", rng), drawn("uniform", rng)
    finally:
        torch.set_default_dtype(before)
    assert normal.dtype == uniform.dtype == dtype
    assert uniform.min() >= -1 and uniform.max() < 3
    assert stats.kstest(normal.double().numpy(), "norm").pvalue > 1e-3
    assert stats.kstest(uniform.double().numpy(), "uniform", args=(-1, 4)).pvalue > 1e-3
    # Moments of N(0, 1) within 5 standard errors.
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        error = float(normal.double().pow(power).mean()) - moment
        assert abs(error) < 5 * math.sqrt(variance / COUNT), power


def test_whole_numbers_are_equally_likely() -> None:
    counts = torch.bincount(drawn("integers", Streams(0).counted().rng("data")), minlength=12)
    assert len(counts) == 12 and stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_every_order_is_equally_likely() -> None:
    orders = [tuple(Streams(0).counted().rng("order", epoch).permutation(3).tolist()) for epoch in range(1200)]
    counts = [orders.count(each) for each in itertools.permutations(range(3))]
    assert sum(counts) == 1200 and stats.chisquare(counts).pvalue > 1e-3


def test_streams_games_numbers_and_draws_are_independent() -> None:
    """Neighbours in every sense, and at every shift of a few places; a correlation has standard error 1 / sqrt(n)."""
    rngs = [Streams(seed).counted().rng(name, number) for seed in (0, 1) for name in ("a", "b") for number in (0, 1, 2)]
    draws = torch.stack([each for rng in rngs for each in (rng.uniform((COUNT,)), rng.uniform((COUNT,)))])
    shifted = torch.cat([draws[:, shift : COUNT - 8 + shift] for shift in range(3)])
    correlations = torch.corrcoef(shifted) - torch.eye(len(shifted))
    assert float(correlations.abs().max()) < 6 / math.sqrt(COUNT)


def test_the_coordinates_of_a_pair_are_independent() -> None:
    """Both normal draws of a pair come from one word: neither their signs nor their sizes go together."""
    first, second = drawn("normal", Streams(0).counted().rng("latents")).chunk(2)
    for a, b in ((first, second), (first.abs(), second.abs()), (first.square(), second)):
        assert abs(float(torch.corrcoef(torch.stack([a, b]))[0, 1])) < 5 / math.sqrt(len(first))


@settings(max_examples=25, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 2**40), min_size=2, max_size=4),
    number=st.integers(0, 2**40),
    kind=st.sampled_from(KINDS),
)
def test_a_packed_game_draws_as_it_would_alone(seeds: list[int], number: int, kind: str) -> None:
    packed = Streams.packed(seeds).counted()
    rows = {
        "normal": lambda rng: rng.normal((len(seeds), 7)),
        "uniform": lambda rng: rng.uniform((len(seeds), 7), -1.0, 3.0),
        "integers": lambda rng: rng.integers((len(seeds), 7), 12),
        "permutation": lambda rng: rng.permutation(7),
    }[kind](packed.rng("data", number))
    for seed, row in zip(seeds, rows, strict=True):
        assert torch.equal(row, drawn(kind, Streams(seed).counted().rng("data", number), 7))


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_may_stand_in_memory(kind: str) -> None:
    """What a recording reads; and draw after draw of one stream goes on where the last one ended."""
    number, streams = torch.tensor(3), Streams(0).counted()
    held, told = streams.rng("data", number), streams.rng("data", 3)
    first = drawn(kind, held, 9)
    assert torch.equal(first, drawn(kind, told, 9))
    second = drawn(kind, held, 9)
    assert torch.equal(second, drawn(kind, told, 9)) and not torch.equal(first, second)
    assert not torch.equal(first, drawn(kind, streams.rng("data", number + 1), 9))


@pytest.mark.parametrize("kind", ["normal", "uniform", "integers"])
def test_parts_make_the_whole(kind: str) -> None:
    whole = drawn(kind, Streams(0).counted().rng("latents", 5), 12)
    parts = [drawn(kind, Streams(0).counted().parted(Part(rank, 3)).rng("latents", 5), 4) for rank in range(3)]
    assert torch.equal(torch.cat(parts), whole)
    same = [Streams(0).counted().parted(Part(rank, 3)).rng("feedback").uniform((1,)) for rank in range(3)]
    assert torch.equal(same[0], same[1]) and torch.equal(same[0], same[2])


def test_a_draw_for_another_number_of_games_is_refused() -> None:
    with pytest.raises(ValueError, match="from 2 replicas"):
        Streams(0, 2).counted().rng("data").normal((3, 4))


def test_a_gpu_draws_counted_numbers() -> None:
    assert Streams(0, device="cuda")._form is Streams(0).counted()._form is not Streams(0)._form


def test_streams_that_start_side_by_side_soon_part() -> None:
    """With one stride for all, a stream that starts one step behind another would draw the same words one later."""
    one, other = (Streams(0).counted().rng("latents", number) for number in (0, 1))
    assert isinstance(one, Counted) and isinstance(other, Counted)
    (_, stride), (_, another) = one._keys, other._keys
    assert stride != another and stride % 2 == another % 2 == 1
    other.__dict__["_keys"] = (one._keys[0] + stride, another)
    ahead, behind = one._words(100), other._words(100)
    assert not set(ahead.tolist()) & set(behind.tolist())
