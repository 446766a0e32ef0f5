"""The sliced Wasserstein distance of pyramids against NumPy and SciPy, and in cases that are known."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import convolve
from scipy.stats import wasserstein_distance

from sparring.core.randomness import Rng
from sparring.core.shapes import as_bytes
from sparring.metrics import Reference
from sparring.metrics.pyramid import laplacian_pyramid, level_count, patches
from sparring.metrics.sliced_wasserstein import SlicedWasserstein, random_directions, sliced_wasserstein

Array = npt.NDArray[np.float64]


def images(count: int, side: int = 16, *, seed: int = 0) -> torch.Tensor:
    """Smooth colour pictures: noise with neighbours averaged."""
    noise = Rng.of(seed).normal((count, 3, side + 2, side + 2))
    return torch.tanh(torch.nn.functional.avg_pool2d(noise, 3, stride=1) * 2)


def reference(samples: torch.Tensor) -> Reference:
    """Images without labels or features."""
    return Reference(samples, None, 0.0, (), None)


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 12))
@settings(deadline=None, max_examples=40)
def test_the_distance_is_that_of_sorted_projections(seed: int, points: int, values: int) -> None:
    a, b = Rng.of(seed).normal((2, points, values))
    directions = random_directions(values, 5, rng=Rng.of(seed + 1))
    x, y, d = a.double().numpy(), b.double().numpy(), directions.double().numpy()
    by_sorting = np.mean([np.abs(np.sort(x @ d[:, i]) - np.sort(y @ d[:, i])).mean() for i in range(5)])
    by_scipy = np.mean([wasserstein_distance(x @ d[:, i], y @ d[:, i]) for i in range(5)])
    assert sliced_wasserstein(a, b, directions) == pytest.approx(by_sorting, rel=1e-4, abs=1e-6)
    assert by_sorting == pytest.approx(by_scipy, rel=1e-9)


def test_the_distance_of_a_shift_is_that_of_its_coordinates() -> None:
    cloud, shift = Rng.of(0).normal((100, 50)), torch.zeros(50).index_fill(0, torch.tensor(0), 3.0)
    directions = random_directions(50, 4000, rng=Rng.of(1))
    found = sliced_wasserstein(cloud, cloud[torch.randperm(100)] + shift, directions)
    expected = 3 * math.gamma(25) / (math.sqrt(math.pi) * math.gamma(25.5))  # E |first coordinate| on the sphere
    assert found == pytest.approx(expected, rel=0.05)


def test_directions_are_unit_vectors() -> None:
    directions = random_directions(147, 200, rng=Rng.of(0))
    assert torch.allclose(directions.norm(dim=0), torch.ones(200))
    assert float(directions.mean(dim=1).norm()) < 0.15, "without a preference"


KERNEL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256


def blurred(picture: Array) -> Array:
    smooth: Array = convolve(picture, KERNEL, mode="mirror")
    return smooth


def by_scipy(picture: Array, levels: int) -> list[Array]:
    """The pyramid of one channel."""
    pyramid = [picture]
    for _ in range(levels - 1):
        pyramid.append(blurred(pyramid[-1])[::2, ::2])
        zeros = np.zeros_like(pyramid[-2])
        zeros[::2, ::2] = pyramid[-1]
        pyramid[-2] = pyramid[-2] - 4 * blurred(zeros)
    return pyramid


@pytest.mark.parametrize(("height", "width", "levels"), [(32, 32, 2), (64, 48, 3), (28, 35, 2), (8, 8, 1)])
def test_the_pyramid_is_scipys(height: int, width: int, levels: int) -> None:
    pictures = Rng.of(0).normal((2, 3, height, width)).double()
    found = laplacian_pyramid(pictures, levels)
    assert len(found) == levels
    for picture in range(2):
        for channel in range(3):
            expected = by_scipy(pictures[picture, channel].numpy(), levels)
            for level in range(levels):
                np.testing.assert_allclose(found[level][picture, channel].numpy(), expected[level], atol=1e-12)


@pytest.mark.parametrize(
    ("height", "width", "levels"),
    [(7, 7, 1), (16, 16, 1), (31, 31, 1), (32, 32, 2), (64, 64, 3), (128, 96, 3), (128, 128, 4)],
)
def test_no_level_but_the_first_is_smaller_than_sixteen(height: int, width: int, levels: int) -> None:
    assert level_count(height, width) == levels


def test_patches_are_windows_of_their_images_at_all_places() -> None:
    pictures = Rng.of(4).normal((2, 2, 9, 8)).double()
    found = patches(pictures, 60, rng=Rng.of(0)).reshape(120, 2, 7, 7)
    for channel in found.unbind(1):
        assert float(channel.mean()) == pytest.approx(0, abs=1e-12)
        assert float(channel.std(correction=0)) == pytest.approx(1)
    for number, picture in enumerate(pictures):
        windows = picture.unfold(1, 7, 1).unfold(2, 7, 1).permute(1, 2, 0, 3, 4).flatten(0, 1).numpy()
        places = [place_of(patch, windows) for patch in found[60 * number : 60 * (number + 1)].numpy()]
        assert set(places) == set(range(6)), "three rows and two columns"


def place_of(patch: Array, windows: Array) -> int:
    """The only window that a patch is in other units."""

    def in_units(values: Array) -> Array:
        mean, std = values.mean(axis=(1, 2), keepdims=True), values.std(axis=(1, 2), keepdims=True)
        return np.asarray((values - mean) / std)

    (place,) = [place for place, window in enumerate(windows) if np.allclose(in_units(patch), in_units(window))]
    return place


def test_a_measurement_is_the_distance_of_each_level_in_numpy() -> None:
    real, generated = images(60, 32, seed=1), images(30, 32, seed=2)
    metric = SlicedWasserstein(images=20, patches=5, directions=7)
    directions = random_directions(147, 7, rng=Rng.of(0)).double().numpy()

    def levels(batch: torch.Tensor) -> list[Array]:
        rng, points = Rng.of(0), []
        whole = as_bytes(batch).double()
        for level in laplacian_pyramid(whole, 2):
            tops = rng.integers((len(batch) * 5,), level.shape[2] - 6).numpy()
            lefts = rng.integers((len(batch) * 5,), level.shape[3] - 6).numpy()
            cut = np.array(
                [
                    level[index // 5, :, top : top + 7, left : left + 7].numpy()
                    for index, (top, left) in enumerate(zip(tops, lefts, strict=True))
                ]
            )
            for channel in range(3):
                cut[:, channel] = (cut[:, channel] - cut[:, channel].mean()) / cut[:, channel].std()
            points.append(cut.reshape(len(cut), -1))
        return points

    def distance(one: torch.Tensor, other: torch.Tensor) -> float:
        sorted_levels = [
            np.abs(np.sort(a @ directions, axis=0) - np.sort(b @ directions, axis=0)).mean()
            for a, b in zip(levels(one), levels(other), strict=True)
        ]
        return float(np.mean(sorted_levels))

    found = metric.measure(generated, reference(real))
    assert found["sliced_wasserstein"] == pytest.approx(distance(generated[:20], real[:20]), rel=1e-4)
    assert found["sliced_wasserstein_floor"] == pytest.approx(distance(real[:20], real[20:40]), rel=1e-4)
    assert "20 generated against 20 real" in metric.protocol(reference(real), 30)
    assert "2 levels, 5 patches of 7 x 7" in metric.protocol(reference(real), 30)


def test_a_perfect_generator_reads_the_floor_and_poor_ones_more() -> None:
    real = reference(images(512, seed=1))
    good = SlicedWasserstein().measure(images(512, seed=2), real)
    assert good["sliced_wasserstein"] == pytest.approx(good["sliced_wasserstein_floor"], rel=0.3)
    noise, flat = torch.tanh(Rng.of(3).normal((512, 3, 16, 16))), torch.zeros(512, 3, 16, 16)
    for poor, times in ((noise, 1.5), (flat, 20)):
        found = SlicedWasserstein().measure(poor, real)
        assert found["sliced_wasserstein"] > times * found["sliced_wasserstein_floor"]


def test_few_images_are_all_compared() -> None:
    real, metric = reference(images(9)), SlicedWasserstein()
    assert metric.measure(images(2, seed=1), real)["sliced_wasserstein"] > 0
    assert "4 generated against 4 real" in metric.protocol(real, 50)
    assert not metric.applies(reference(images(1)))
    assert not metric.applies(reference(torch.zeros(50, 3, 6, 6)))
    assert not metric.applies(reference(torch.zeros(50, 2)))
