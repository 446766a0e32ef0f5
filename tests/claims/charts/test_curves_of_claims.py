"""Curves and histograms: means and bands over seeds at common places, and what is drawn of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from scipy import stats

from chart_values import assert_affine, chart, claim_values, paths, texts
from sparring.claims.charts.curves import Curves, arrays_of, seed_curve
from sparring.claims.charts.share_histogram import ShareHistogram
from sparring.claims.values import Label, SampledCurve, Value

ONE = {"p": (0.4,), "objective": ("log", "linear")}
X = (0.0, 10.0, 20.0, 40.0)


def curve(labels: Mapping[str, Label], seed: int) -> dict[str, Value]:
    rng = np.random.default_rng([seed, *map(ord, str(labels))])
    return {
        "fall": SampledCurve(x=X, y=tuple((8 / (1 + np.arange(4.0)) + rng.random(4)).tolist())),
        "rise": SampledCurve(x=X, y=tuple((np.arange(4.0) ** 2 + rng.random(4)).tolist())),
    }


CURVES = chart(name="curves", y=["fall", "rise"], lines="objective", panels="p")
assert isinstance(CURVES, Curves)


def test_means_and_bands_are_those_of_the_seeds() -> None:
    values = claim_values(curve, ONE)
    (panel,) = CURVES.curves(values)
    assert [(each.measure, each.place["objective"]) for each in panel] == [
        ("fall", "log"),
        ("rise", "log"),
        ("fall", "linear"),
        ("rise", "linear"),
    ]
    for found in panel:
        (cell,) = [each for each in values.cells if each.labels == found.place]
        numbers = np.array([each[found.measure].y for each in cell.seeds.values()])  # type: ignore[union-attr]
        bounds = stats.t.interval(0.95, 4, numbers.mean(0), stats.sem(numbers))
        np.testing.assert_allclose(found.x, X)
        np.testing.assert_allclose(found.mean, numbers.mean(0))
        np.testing.assert_allclose(found.band, np.transpose(bounds))


def test_the_drawing_shows_the_means() -> None:
    values = claim_values(curve, ONE)
    (panel,) = CURVES.curves(values)
    drawn = paths(CURVES.draw(values, "one"), "stroke-width: 1.6", 'clip-path="')
    assert_affine(
        np.concatenate([strokes[0][:, 1] for strokes in drawn]), np.concatenate([each.mean for each in panel])
    )
    assert {"log, fall", "log, rise", "linear, fall", "linear, rise"} <= set(texts(CURVES.draw(values, "one")))


def test_places_without_a_number_are_left_out() -> None:
    x, y = arrays_of(SampledCurve(x=(2.0, 0.0, 1.0), y=(5.0, 3.0, None)))
    np.testing.assert_allclose((x, y), ([0.0, 2.0], [3.0, 5.0]))


def test_a_game_that_ended_early_is_in_no_mean_from_then_on() -> None:
    def short(labels: Mapping[str, Label], seed: int) -> dict[str, Value]:
        return {"fall": SampledCurve(x=X[: 4 - 2 * seed], y=(1.0 + seed,) * (4 - 2 * seed))}

    found = seed_curve(claim_values(short, {"p": (0,)}, seeds=2), "fall", {"p": 0})
    assert found is not None
    np.testing.assert_allclose(found.mean, [1.5, 1.5, 1.0, 1.0])
    assert np.isnan(found.band[2:]).all() and np.isfinite(found.band[:2]).all()


def test_cells_of_one_seed_are_one_curve() -> None:
    def level(labels: Mapping[str, Label], seed: int) -> dict[str, Value]:
        height = {"log": 1.0, "linear": 3.0}[str(labels["objective"])] + seed
        return {"fall": SampledCurve(x=X, y=(height,) * 4)}

    found = seed_curve(claim_values(level, ONE, seeds=3), "fall", {"p": 0.4})
    assert found is not None
    low, high = stats.t.interval(0.95, 2, 3.0, stats.sem([2.0, 3.0, 4.0]))
    np.testing.assert_allclose(found.mean, 3.0)
    np.testing.assert_allclose(found.band, [[low, high]] * 4)


def test_a_histogram_shows_mean_shares_in_percent() -> None:
    def shares(labels: Mapping[str, Label], seed: int) -> dict[str, Value]:
        return {"shares": SampledCurve(x=(-1.0, 0.0, 1.0), y=(0.1 * seed, 0.9 - 0.1 * seed, 0.1))}

    drawn = chart(name="histogram", y="shares", rows="objective", across="gradient")
    assert isinstance(drawn, ShareHistogram)
    values = claim_values(shares, ONE, seeds=3)
    panels = drawn.shares(values)
    assert len(panels) == 2
    for (each,) in panels:
        np.testing.assert_allclose(each.mean, [0.1, 0.8, 0.1])
    svg = drawn.draw(values, "one")
    assert {"log", "linear", "share (%)", "gradient"} <= set(texts(svg))
    steps = paths(svg, "stroke-width: 1.2", 'clip-path="')
    heights = [sorted({round(y, 3) for y in strokes[0][:, 1]}) for strokes in steps]
    assert [len(each) for each in heights] == [2, 2]
    assert heights[0][1] - heights[0][0] == pytest.approx(heights[1][1] - heights[1][0])
