"""Lines: means and intervals against SciPy and Wilson's formula, order of labels, gaps, numbers in print."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from scipy import stats

from chart_values import assert_affine, chart, claim_values, paths, texts
from sparring.claims.charts.lines import Lines
from sparring.claims.charts.value_axis import in_order, setting, value_axis
from sparring.claims.values import Label, Published, Value
from sparring.report.seed_mean import seed_mean

LINES = chart(name="lines", y="score", x="clip", lines="objective", panels="p")
assert isinstance(LINES, Lines)


def score(labels: Mapping[str, Label], seed: int) -> dict[str, Value]:
    rng = np.random.default_rng([seed, *map(ord, str(labels))])
    return {"score": 3 * rng.random(), "success": float(rng.random() > 0.3)}


def test_means_and_intervals_are_those_of_the_cells() -> None:
    values = claim_values(score)
    panels = LINES.points(values)
    assert [len(panels), len(panels[0]), len(panels[0][0])] == [2, 2, 3]
    for point in (point for panel in panels for line in panel for point in line):
        (cell,) = [each for each in values.cells if each.labels == point.place]
        numbers = [float(each["score"]) for each in cell.seeds.values()]  # type: ignore[arg-type]
        low, high = stats.t.interval(0.95, 4, np.mean(numbers), stats.sem(numbers))
        assert point.found is not None
        assert (point.found.mean, point.found.low, point.found.high) == pytest.approx((np.mean(numbers), low, high))


def test_successes_have_wilson_s_interval_and_are_in_percent() -> None:
    found = seed_mean([1.0, 0.0, 1.0, 1.0, 1.0], "success")
    z, n, share = 1.959963984540054, 5, 0.8
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    assert found is not None
    assert (found.mean, found.low, found.high, found.seeds) == pytest.approx((share, centre - half, centre + half, 5))
    assert value_axis("success").scale == 100
    assert value_axis("success").printed(0.8145) == "81.45 %"
    assert value_axis("best").printed(28.05) == "28.05"
    assert "Share of successful games (%)" in texts(
        chart(name="lines", y="success", x="clip").draw(claim_values(score), "one")
    )


def test_a_number_and_none_are_said_with_their_axis() -> None:
    assert setting("clip", "0.1") == "clip = 0.1"
    assert setting("clip", "none") == "clip = none"
    assert setting("objective", "piecewise_linear") == "piecewise linear"


def test_one_seed_has_no_interval_and_none_no_mean() -> None:
    found = seed_mean([0.4], "modes")
    assert found is not None and (found.low, found.high) == (0.4, 0.4)
    assert seed_mean([], "modes") is None


def test_an_interval_stays_in_the_range_of_the_metric() -> None:
    values = claim_values(lambda labels, seed: {"high_quality": 1.0 - 0.2 * (seed == 0)})
    shown = chart(name="lines", y="high_quality", x="clip", lines="objective", panels="p")
    assert isinstance(shown, Lines)
    found = shown.points(values)[0][0][0].found
    assert found is not None and found.high == 1.0 and found.low < 0.96


def test_the_drawing_shows_the_means() -> None:
    values = claim_values(score)
    panels = LINES.points(values)
    drawn = paths(LINES.draw(values, "one"), "stroke-width: 1.6", 'clip-path="')
    lines = [line for panel in panels for line in panel]
    assert len(drawn) == len(lines)
    assert_affine(
        np.concatenate([strokes[0][:, 1] for strokes in drawn]),
        [point.found.mean for line in lines for point in line if point.found],
    )


def test_numbers_come_in_order_and_words_behind_them() -> None:
    assert in_order(("none", "0.5", 0.05, "other", "0.1")) == (0.05, "0.1", "0.5", "none", "other")
    assert [point.place["clip"] for point in LINES.points(claim_values(score))[0][0]] == ["0.05", "0.5", "none"]


def test_a_cell_that_is_missing_is_a_gap() -> None:
    values = claim_values(lambda labels, seed: {} if labels["clip"] == "0.5" else score(labels, seed))
    assert [point.found is None for point in LINES.points(values)[0][0]] == [False, True, False]
    for strokes in paths(LINES.draw(values, "one"), "stroke-width: 1.6", 'clip-path="'):
        assert not any(len(stroke) > 1 for stroke in strokes)


def test_numbers_in_print_stand_at_their_cells() -> None:
    published = (
        Published(measure="score", where={"clip": ("0.5", "none"), "objective": "log", "p": 0.4}, value=1.5),
        Published(measure="score", where={"objective": "linear"}, value=2.5, source="code"),
        Published(measure="other", value=0.5),
        Published(measure="score", where={"data": "other"}, value=7.5),
    )
    values = claim_values(score, published=published)
    found = {
        (point.place["p"], point.place["objective"], point.place["clip"]): [each.value for each in point.printed]
        for panel in LINES.points(values)
        for line in panel
        for point in line
    }
    for (p, objective, clip), numbers in found.items():
        expected = [2.5] if objective == "linear" else [1.5] if p == 0.4 and clip != "0.05" else []
        assert numbers == expected
    assert {"in print", "published code", "log", "linear"} <= set(texts(LINES.draw(values, "one")))
    assert "in print" not in texts(LINES.draw(claim_values(score), "one"))


def test_a_number_in_print_about_other_cells_is_not_drawn_over_a_mean() -> None:
    published = (Published(measure="score", where={"p": 0.4}, value=1.5),)
    over_p = chart(name="lines", y="score", x="clip", lines="objective")
    assert isinstance(over_p, Lines)
    assert not any(
        point.printed for line in over_p.points(claim_values(score, published=published))[0] for point in line
    )
