"""Distances and scores of features against closed forms and independent implementations."""

from __future__ import annotations

from weakref import ref

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from sparring.core.randomness import Rng
from sparring.core.shapes import FeaturesAndLogits
from sparring.metrics import (
    Frechet,
    Kernel,
    Metric,
    RealFeatures,
    Reference,
    Score,
    frechet_distance,
    inception_score,
    kernel_distance,
)

Array = npt.NDArray[np.float64]


def with_moments(mean: Array, covariance: Array, count: int = 64) -> torch.Tensor:
    """Points whose sample mean and covariance are exactly these."""
    points = np.random.default_rng(0).standard_normal((count, len(mean)))
    points -= points.mean(axis=0)
    whiten = np.linalg.cholesky(np.linalg.inv(np.atleast_2d(np.cov(points, rowvar=False))))
    return torch.from_numpy(points @ whiten @ np.linalg.cholesky(covariance).T + mean)


means, stds = st.floats(-3, 3), st.floats(0.1, 4)


@given(st.lists(st.tuples(means, stds, means, stds), min_size=1, max_size=6))
@settings(deadline=None, max_examples=25)
def test_frechet_of_axis_aligned_gaussians(axes: list[tuple[float, float, float, float]]) -> None:
    mean_a, std_a, mean_b, std_b = np.array(axes).T
    a, b = with_moments(mean_a, np.diag(std_a**2)), with_moments(mean_b, np.diag(std_b**2))
    expected = ((mean_a - mean_b) ** 2 + (std_a - std_b) ** 2).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_a_measure_of_one_process_asks_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of several processes measures alone, while the others train."""

    def gathers(*_arguments: object) -> None:
        raise AssertionError("waits for another process")

    monkeypatch.setattr("torchmetrics.metric.jit_distributed_available", lambda: True)
    monkeypatch.setattr("torchmetrics.metric.gather_all_tensors", gathers)
    a, b = Rng.of(0).normal((2, 20, 3))
    assert frechet_distance(a, b) > 0
    kernel_distance(a, b, subsets=2, size=10)
    inception_score(a, splits=2)


def test_frechet_equals_the_matrix_square_root() -> None:
    generator = np.random.default_rng(1)
    a, b = generator.standard_normal((200, 12)) @ generator.standard_normal((12, 12)), generator.gamma(2, 1, (150, 12))
    s_a, s_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root_a = sqrtm(s_a)
    cross = np.trace(sqrtm(root_a @ s_b @ root_a).real)
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(s_a) + np.trace(s_b) - 2 * cross
    assert frechet_distance(torch.from_numpy(a), torch.from_numpy(b)) == pytest.approx(expected, rel=1e-9)


def test_no_frechet_distance_from_itself_and_none_below_zero() -> None:
    a = Rng.of(0).normal((300, 20))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    few = a[:5]  # fewer images than features: the covariance has no inverse
    assert 0 <= frechet_distance(few, few) < 1e-4


def direct_kernel_distance(a: Array, b: Array) -> float:
    """The unbiased estimate over all pairs, written out."""

    def kernel(x: Array, y: Array) -> float:
        return float((x @ y / len(x) + 1) ** 3)

    same_a = np.mean([kernel(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j])
    same_b = np.mean([kernel(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j])
    return float(same_a + same_b - 2 * np.mean([kernel(x, y) for x in a for y in b]))


def test_the_kernel_distance_of_whole_sets_is_the_sum_over_pairs() -> None:
    a, b = Rng.of(0).normal((24, 5)).double(), Rng.of(1).normal((24, 5)).double() + 0.3
    found = kernel_distance(a, b, subsets=3, size=1000)
    assert found[0] == pytest.approx(direct_kernel_distance(a.numpy(), b.numpy()), rel=1e-9)
    assert found[1] == 0, "a subset that holds everything is always the same"
    assert kernel_distance(a[:20], b, subsets=3, size=1000)[1] > 1e-3, "those of the larger set differ"


def test_the_kernel_distance_is_unbiased() -> None:
    draws = [Rng.of(seed).normal((2, 40, 4)) for seed in range(200)]
    found = torch.tensor([kernel_distance(a, b, subsets=1, size=40)[0] for a, b in draws])
    assert abs(float(found.mean())) < 4 * float(found.std()) / len(found) ** 0.5


@given(st.integers(2, 12), st.integers(0, 1000), st.floats(0, 20))
@settings(deadline=None, max_examples=25)
def test_a_score_lies_between_one_and_the_classes(classes: int, seed: int, sharpness: float) -> None:
    found = inception_score(sharpness * Rng.of(seed).normal((60, classes)), splits=3)
    assert 1 - 1e-9 <= found[0] <= classes + 1e-9


def test_scores_at_both_ends() -> None:
    sure = 60.0 * torch.eye(4).repeat_interleave(250, dim=0)
    assert inception_score(sure, splits=2)[0] == pytest.approx(4, rel=0.01), "sorted by class, yet every part has all"
    assert inception_score(sure[:250], splits=2)[0] == pytest.approx(1), "one class"
    assert inception_score(torch.zeros(50, 4), splits=2)[0] == pytest.approx(1), "unsure of every image"


def test_a_score_equals_its_definition() -> None:
    logits = Rng.of(3).normal((90, 5)).double()
    order = torch.randperm(90, generator=torch.Generator().manual_seed(0))
    scores = []
    for part in torch.softmax(logits[order], dim=1).numpy().reshape(3, 30, 5):
        scores.append(np.exp((part * np.log(part / part.mean(axis=0))).sum(axis=1).mean()))
    found = inception_score(logits, splits=3)
    assert found[0] == pytest.approx(np.mean(scores), rel=1e-9)
    assert found[1] == pytest.approx(np.std(scores, ddof=1), rel=1e-9)


class Flat:
    """A judge that sees every pixel."""

    name, sha256 = "toy", "0"

    def extract(self, samples: torch.Tensor) -> FeaturesAndLogits:
        return FeaturesAndLogits(samples.flatten(1), samples.flatten(1)[:, :3])


def reference(count: int, others: int = 0) -> Reference:
    """`count` normal images of four pixels, and `others` (or as many) beside them."""
    judge = Flat()
    first, second = Rng.of(7).normal((2, count, 1, 2, 2))
    real = RealFeatures(judge, judge.extract(first), judge.extract(second[: others or count]), "halves")
    return Reference(torch.zeros(1, 1, 2, 2), None, 0.0, (), None, real)


def test_a_perfect_generator_reads_the_floor_and_a_poor_one_more() -> None:
    real = reference(2048)
    good, poor = Rng.of(11).normal((2048, 1, 2, 2)), 0.3 * Rng.of(11).normal((2048, 1, 2, 2))
    for metric, distance, floor in (
        (Frechet(), "frechet_distance", "frechet_floor"),
        (Kernel(), "kernel_distance", "kernel_floor"),
    ):
        found = metric.measure(good, real)
        assert abs(found[distance] - found[floor]) < 0.02 < metric.measure(poor, real)[distance]
    found = Score().measure(good, real)
    assert found["inception_score"] == pytest.approx(found["inception_score_real"], rel=0.05)
    assert Score().measure(poor, real)["inception_score"] < found["inception_score"] - 0.1


@pytest.mark.parametrize("others", [90, 360])
def test_a_generator_of_the_other_images_reads_the_floor_whatever_the_counts(others: int) -> None:
    real = reference(1437, others)
    copies = Rng.of(7).normal((2, 1437, 1, 2, 2))[1, :others]
    for samples in (copies[: others // 2], torch.cat([copies, Rng.of(11).normal((2048, 1, 2, 2))])):
        for metric, number, floor in (
            (Frechet(), "frechet_distance", "frechet_floor"),
            (Kernel(subsets=3), "kernel_distance", "kernel_floor"),
            (Score(), "inception_score", "inception_score_real"),
        ):
            found = metric.measure(samples, real)
            assert found[number] == found[floor], metric.name


@pytest.mark.parametrize("metric", [Frechet(), Kernel(), Score()])
def test_a_split_of_one_image_is_not_measured_and_one_of_two_is(metric: Metric) -> None:
    assert not metric.applies(reference(50, 1))
    assert metric.applies(reference(50, 2))
    found = metric.measure(Rng.of(11).normal((20, 1, 2, 2)), reference(50, 2))
    assert all(np.isfinite(value) for value in found.values())


def test_a_kernel_distance_of_whole_sets_claims_no_spread() -> None:
    real = reference(60)
    assert "all images at once, so that there is no spread" in Kernel().protocol(real, 2048)
    assert Kernel().measure(Rng.of(11).normal((2048, 1, 2, 2)), real)["kernel_distance_std"] == 0
    assert "10 pairs of random subsets of 50," in Kernel().protocol(real, 50)
    assert "10 pairs of random subsets of 40," in Kernel(size=40).protocol(real, 2048)


@pytest.mark.parametrize(("images", "splits"), [(2, 2), (9, 9), (10, 10), (11, 6), (360, 10), (2048, 10)])
def test_a_score_names_the_splits_that_there_are(images: int, splits: int) -> None:
    assert len(torch.zeros(images).chunk(10)) == splits, "as torchmetrics splits them"
    assert f"; {splits} splits of {images:,} shuffled" in Score(splits=10).protocol(reference(images), images)


@pytest.mark.parametrize("metric", [Frechet(), Kernel(), Score()])
def test_what_is_remembered_of_a_floor_keeps_no_earlier_images_alive(metric: Metric) -> None:
    earlier = reference(50)
    samples, kept = Rng.of(11).normal((20, 1, 2, 2)), ref(earlier.real)
    metric.measure(samples, earlier)
    del earlier
    metric.measure(samples, reference(50))
    assert kept() is None


def test_protocols_state_counts_and_bias() -> None:
    assert "360 generated against 1,437 real, floor: 360 other" in Frechet().protocol(reference(1437, 360), 2048)
    assert "subsets of 360," in Kernel().protocol(reference(1437, 360), 2048)
    assert "biased" in Frechet().protocol(reference(2048), 2047)
    assert "biased" in Frechet().protocol(reference(2047), 2048)
    assert "biased" not in Frechet().protocol(reference(2048), 2048)
