"""Precision, recall, density and coverage against loops over every pair of points, and in cases that are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparring.core.randomness import Rng
from sparring.metrics.neighbours import density_coverage, precision_recall

Array = npt.NDArray[np.float64]


def radius(points: Array, index: int, k: int) -> float:
    """From a point to the k-th nearest of the others."""
    others = np.sqrt(((np.delete(points, index, axis=0) - points[index]) ** 2).sum(-1))
    return float(np.sort(others)[k - 1])


def balls(points: Array, k: int) -> list[tuple[Array, float]]:
    return [(point, radius(points, index, k)) for index, point in enumerate(points)]


def lies_in(point: Array, ball: tuple[Array, float]) -> bool:
    centre, reach = ball
    return bool(np.sqrt(((point - centre) ** 2).sum()) <= reach)


def by_loops(generated: Array, real: Array, k: int) -> tuple[float, float, float, float]:
    """Precision, recall, density, coverage, as they are defined."""
    around_real, around_generated = balls(real, k), balls(generated, k)
    precision = np.mean([any(lies_in(y, ball) for ball in around_real) for y in generated])
    recall = np.mean([any(lies_in(x, ball) for ball in around_generated) for x in real])
    density = sum(lies_in(y, ball) for y in generated for ball in around_real) / (k * len(generated))
    coverage = np.mean([any(lies_in(y, ball) for y in generated) for ball in around_real])
    return float(precision), float(recall), float(density), float(coverage)


def found(generated: Array, real: Array, k: int) -> tuple[float, float, float, float]:
    a, b = torch.from_numpy(generated), torch.from_numpy(real)
    return (*precision_recall(a, b, k=k), *density_coverage(a, b, k=k))


@given(
    st.integers(0, 10_000),
    st.integers(6, 25),
    st.integers(6, 25),
    st.integers(1, 5),
    st.integers(1, 40),
    st.floats(0, 3),
)
@settings(deadline=None, max_examples=60)
def test_they_equal_loops_over_all_pairs(
    seed: int, generated: int, real: int, k: int, features: int, shift: float
) -> None:
    draw = np.random.default_rng(seed)
    y, x = draw.standard_normal((generated, features)) + shift, draw.standard_normal((real, features))
    assert found(y, x, k) == pytest.approx(by_loops(y, x, k), abs=1e-12)


def test_more_points_than_are_compared_at_once() -> None:
    draw = np.random.default_rng(0)
    y, x = 0.8 * draw.standard_normal((1300, 2)), draw.standard_normal((1100, 2))
    some = slice(None, None, 13)
    around_real = balls(x, 3)
    precision = np.mean([any(lies_in(point, ball) for ball in around_real) for point in y[some]])
    assert found(y, x, 3)[0] == pytest.approx(precision, abs=0.05)
    assert found(y, x, 3) == pytest.approx(found(y[::-1].copy(), x[::-1].copy(), 3), abs=1e-12)


def test_far_from_the_origin_they_are_the_same() -> None:
    y, x = Rng.of(0).normal((2, 40, 8)).double().numpy()
    assert found(y + 1e6, x + 1e6, 3) == pytest.approx(by_loops(y + 1e6, x + 1e6, 3), abs=1e-12)


def test_copies_of_the_data_are_precise_and_cover_everything() -> None:
    x = Rng.of(0).normal((200, 10)).double().numpy()
    precision, recall, density, coverage = found(x.copy(), x, 5)
    assert (precision, recall, coverage) == (1, 1, 1)
    assert density == pytest.approx(6 / 5), "every ball has its centre and five others"


def test_one_mode_of_two_is_precise_and_recalls_half() -> None:
    near, far = Rng.of(1).normal((2, 300, 4)).double()
    real, collapsed = torch.cat([near, far + 50]), Rng.of(2).normal((600, 4)).double()
    precision, recall = precision_recall(collapsed, real, k=3)
    assert precision > 0.9 and 0.4 < recall <= 0.5
    density, coverage = density_coverage(collapsed, real, k=5)
    assert density == pytest.approx(1.0, abs=0.1), "two generated for each real image, around half of them"
    assert 0.4 < coverage <= 0.5


def test_distant_images_hit_nothing() -> None:
    x = Rng.of(0).normal((50, 4))
    assert found((x + 100).double().numpy(), x.double().numpy(), 3) == (0, 0, 0, 0)


def test_the_data_themselves_have_density_one() -> None:
    y, x = Rng.of(3).normal((2, 3000, 16))
    density, coverage = density_coverage(y, x, k=5)
    assert density == pytest.approx(1, abs=0.03)
    assert coverage == pytest.approx(1 - 2.0**-5, abs=0.015), "Naeem et al. 2020, lemma 3"
