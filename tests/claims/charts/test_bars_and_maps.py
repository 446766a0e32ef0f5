"""Bars and maps: the numbers of the cells, published ones beside, and what is drawn of them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pytest

from chart_values import assert_affine, chart, claim_values, paths, texts
from sparring.claims.charts.bars import Bars
from sparring.claims.charts.heat_map import HeatMap
from sparring.claims.values import Label, Published, Value

BARS = chart(name="bars", y=["best", "last"], x="objective", panels="p", unit="FID")
MAP = chart(name="map", y="best", x="clip", rows="objective", panels="p")
assert isinstance(BARS, Bars) and isinstance(MAP, HeatMap)
PUBLISHED = (
    Published(measure="best", where={"objective": "log"}, value=25.0),
    Published(measure="last", where={"objective": "linear", "p": 0.4}, value=35.0, spread=1.0, source="code"),
)


def score(labels: Mapping[str, Label], seed: int) -> dict[str, Value]:
    rng = np.random.default_rng([seed, *map(ord, str(labels))])
    return {"best": 20 + 5 * rng.random(), "last": 30 + 5 * rng.random()}


def rectangles(svg: str, *looks: str) -> list[float]:
    """Heights of the bars of this look."""
    return [float(np.ptp(strokes[0][:, 1])) for strokes in paths(svg, *looks)]


def test_bars_are_the_means_and_hollow_ones_the_numbers_in_print() -> None:
    values = claim_values(score, published=PUBLISHED)
    bars = [bar for panel in BARS.groups(values) for group in panel for bar in group]
    for bar in bars:
        numbers = [
            np.mean([float(games[seed][bar.measure]) for games in cells])  # type: ignore[arg-type]
            for seed in range(5)
            for cells in [[each.seeds for each in values.cells if bar.place.items() <= each.labels.items()]]
        ]
        assert bar.found is not None and bar.found.mean == pytest.approx(np.mean(numbers))
    svg = BARS.draw(values, "one")
    full, hollow = (
        rectangles(svg, "opacity: 0.75", "clip-path"),
        rectangles(svg, "fill: none", "stroke-width: 1.2", "clip-path"),
    )
    means = [bar.found.mean for bar in bars if bar.found]
    printed = [each.value for bar in bars for each in bar.printed]
    assert printed == [25.0, 25.0, 35.0]
    assert_affine([-each for each in full + hollow], means + printed)
    assert np.array(full) / np.array(means) == pytest.approx(hollow[0] / 25.0, rel=1e-3)
    assert {"best", "last", "in print", "published code", "FID", "p = 0", "p = 0.4"} <= set(texts(svg))


def test_a_cell_that_is_missing_has_no_bar_and_its_number_in_print_still_stands() -> None:
    values = claim_values(
        lambda labels, seed: {} if labels["objective"] == "log" else score(labels, seed), published=PUBLISHED
    )
    svg = BARS.draw(values, "one")
    assert len(rectangles(svg, "opacity: 0.75", "clip-path")) == 2 * 2
    assert len(rectangles(svg, "fill: none", "stroke-width: 1.2", "clip-path")) == 3


def test_a_map_has_the_number_of_every_cell() -> None:
    values = claim_values(score)
    shown = texts(MAP.draw(values, "one"))
    for panel in MAP.maps(values):
        assert panel.columns == ("0.05", "0.5", "none") and panel.rows == ("log", "linear")
    for cell in values.cells:
        mean = np.mean([float(each["best"]) for each in cell.seeds.values()])  # type: ignore[arg-type]
        assert f"{mean:.3g}" in shown


def test_a_map_is_darkest_at_its_greatest_number_and_empty_where_nothing_is_played() -> None:
    numbers = {("log", "0.05"): 1.0, ("log", "none"): 2.0, ("linear", "0.05"): 4.0}

    def given(labels: Mapping[str, Label], seed: int) -> dict[str, Value]:
        key = str(labels["objective"]), str(labels["clip"])
        return {"best": numbers[key]} if key in numbers else {}

    values = claim_values(given, {"objective": ("log", "linear"), "clip": ("0.05", "none")})
    svg = chart(name="map", y="best", x="clip", rows="objective").draw(values, "one")
    drawn = re.findall(r'<path d="[^"]*" clip-path="[^"]*" style="fill: (#[0-9a-f]{6})', svg)
    assert drawn == ["#f7f7f2", drawn[1], "#005a96"]
    assert [text for text in texts(svg) if text in ("1", "2", "4")] == ["1", "2", "4"]


@pytest.mark.parametrize("y", ["narrow", "wide"])
def test_a_logarithmic_axis_has_plain_numbers(y: str) -> None:
    factor = {"narrow": 2.0, "wide": 1000.0}[y]
    values = claim_values(lambda labels, seed: {y: 3e-6 * factor ** (labels["objective"] == "log")})
    shown = texts(chart(name="bars", y=y, x="objective", is_log=True).draw(values, "one"))
    assert {"narrow": "5e-06", "wide": "0.0001"}[y] in shown
    assert not any("math" in text for text in shown)
