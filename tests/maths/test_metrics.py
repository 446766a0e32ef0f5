"""Metrics against closed forms and an independent oracle."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from sparring.core.intervals import wilson
from sparring.core.randomness import Rng
from sparring.core.shapes import FeaturesAndLogits
from sparring.data import Ring
from sparring.metrics import Classes, Modes, Reference, Wasserstein2, total_variation, wasserstein2


def ring_reference() -> Reference:
    """The eight modes of the ring."""
    return Reference(torch.zeros(1, 2), Ring().centres(), 0.1, (), None)


def test_the_data_themselves_are_a_success() -> None:
    samples = Ring().open(torch.device("cpu")).held_out(4000, rng=Rng.of(0)).samples
    found = Modes().measure(samples, ring_reference())
    assert found["modes"] == 8 and found["success"] == 1
    assert found["high_quality"] == pytest.approx(1 - math.exp(-9 / 2), abs=0.01)  # Rayleigh within 3 std


@given(st.sets(st.integers(0, 7), min_size=1))
@settings(deadline=None, max_examples=30)
def test_modes_are_counted(modes: set[int]) -> None:
    samples = Ring().centres()[sorted(modes)].repeat_interleave(50, dim=0)
    found = Modes().measure(samples, ring_reference())
    assert found["modes"] == len(modes)
    assert found["success"] == (len(modes) == 8)


def test_far_samples_and_rare_modes_do_not_count() -> None:
    centres = Ring().centres()
    assert Modes().measure(10 * centres, ring_reference())["modes"] == 0
    rare = torch.cat([centres[:1].expand(1000, 2), centres[1:]])
    assert Modes().measure(rare, ring_reference())["modes"] == 1


def test_modes_far_from_the_origin_are_as_exact_as_near_ones() -> None:
    """Of a mode at 100, samples within three standard deviations of 0.001 count: fp32 has the digits for that."""
    centre = torch.tensor([[100.0, 0.0]])
    reference = Reference(torch.zeros(1, 2), centre, 0.001, (), None)
    near, far = (centre + torch.tensor([0.0, offset]) for offset in (0.0025, 0.0035))
    found = Modes().measure(torch.cat([near.expand(300, 2), far.expand(100, 2)]), reference)
    assert found["high_quality"] == 0.75


def test_lenient_numbers_by_hand() -> None:
    """Within a third of 4 sin(pi / 8), the distance of neighbours on a circle of radius 2."""
    samples = Ring(std=0.4).open(torch.device("cpu")).held_out(500, rng=Rng.of(0)).samples
    limit, near = 4 * math.sin(math.pi / 8) / 3, [0] * 8
    for x, y in samples.tolist():
        distances = [math.hypot(x - a, y - b) for a, b in Ring().centres().tolist()]
        near[distances.index(min(distances))] += min(distances) <= limit
    found = Modes().measure(samples, ring_reference())
    assert 0.3 < found["high_quality_lenient"] < 0.95
    assert found["high_quality_lenient"] == pytest.approx(sum(near) / 500)
    assert found["modes_lenient"] == sum(count / 500 >= 0.2 / 8 for count in near)
    assert found["high_quality"] < found["high_quality_lenient"]


def test_a_single_mode_has_no_lenient_radius_of_its_own() -> None:
    reference = Reference(torch.zeros(1, 2), torch.zeros(1, 2), 0.1, (), None)
    found = Modes().measure(Rng.of(0).normal((200, 2)), reference)
    assert found["high_quality_lenient"] == found["high_quality"] < 0.2


@dataclass
class Sure:
    """A judge that sees the same logits in everything."""

    logits: torch.Tensor
    name: str = "toy"
    sha256: str = "0"

    def extract(self, samples: torch.Tensor) -> FeaturesAndLogits:
        return FeaturesAndLogits(self.logits, self.logits)


def judge(labels: torch.Tensor, sure: float) -> Reference:
    """A classifier of three classes with this confidence in its labels."""
    logits = math.log(2 * sure / (1 - sure)) * torch.nn.functional.one_hot(labels, 3)
    return Reference(torch.zeros(len(labels), 1), None, 0.0, ("a", "b", "c"), Sure(logits))


@pytest.mark.parametrize(
    ("labels", "sure", "classes", "success"),
    [
        ([0, 1, 2] * 10, 0.99, 3, 1),
        ([0, 1, 1] * 10, 0.99, 2, 0),
        ([0, 1, 2] * 10, 0.5, 0, 0),
        ([0] * 28 + [1, 2], 0.99, 1, 0),
    ],
)
def test_classes_are_counted(labels: list[int], sure: float, classes: int, success: int) -> None:
    found = Classes(fair_share=0.2).measure(torch.zeros(len(labels), 1), judge(torch.tensor(labels), sure))
    assert found["classes"] == classes
    assert found["success"] == success


def test_total_variation_of_known_distributions() -> None:
    assert total_variation(torch.full((10,), 0.1)) == pytest.approx(0)
    assert total_variation(torch.eye(10)[3]) == pytest.approx(0.9)


def test_wasserstein_of_a_shift_is_the_shift() -> None:
    cloud = Rng.of(0).normal((100, 2))
    assert wasserstein2(cloud, cloud[torch.randperm(100)]) == pytest.approx(0, abs=1e-6)
    assert wasserstein2(cloud, cloud + torch.tensor([3.0, 4.0])) == pytest.approx(5, rel=1e-5)


@given(st.integers(0, 10_000), st.integers(1, 5))
@settings(deadline=None, max_examples=30)
def test_wasserstein_equals_all_permutations(seed: int, count: int) -> None:
    a, b = Rng.of(seed).normal((2, count, 3))
    best = min(float((a - b[list(order)]).square().sum()) for order in itertools.permutations(range(count)))
    assert wasserstein2(a, b) == pytest.approx(math.sqrt(best / count), rel=1e-4)


def test_wasserstein_on_the_line_is_the_sorted_distance() -> None:
    a, b = Rng.of(1).normal((2, 200, 1))
    expected = (a.sort(dim=0).values - b.sort(dim=0).values).square().mean().sqrt()
    assert wasserstein2(a, b) == pytest.approx(float(expected), rel=1e-4)


def test_fewer_samples_than_points_are_all_taken() -> None:
    samples = Ring().open(torch.device("cpu")).held_out(2048, rng=Rng.of(0)).samples
    real = Reference(samples, None, 0.1, (), None)
    found = Wasserstein2().measure(samples[:5] + 3.0, real)
    assert found["wasserstein2"] == pytest.approx(18.0**0.5, rel=1e-5)
    assert found["wasserstein2_floor"] == wasserstein2(samples[5:10], samples[:5])
    assert "5 generated against 5" in Wasserstein2().protocol(real, 5)


@given(st.integers(1, 60), st.data())
def test_the_interval_is_wilsons(trials: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, trials))
    expected = binomtest(successes, trials).proportion_ci(method="wilson")
    assert wilson(successes, trials) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_impossible_counts_are_refused() -> None:
    for successes, trials in ((3, 2), (0, 0), (-1, 5)):
        with pytest.raises(ValueError, match="successes in"):
            wilson(successes, trials)


@pytest.mark.parametrize(
    ("labels", "sure", "applies"), [([0, 1, 2], 0.99, True), ([0, 1, 2], 0.5, False), ([0], 0.99, False)]
)
def test_the_classes_are_not_asked_for_where_real_samples_fail(labels: list[int], sure: float, applies: bool) -> None:
    assert Classes().applies(judge(torch.tensor(labels * 10), sure)) is applies
