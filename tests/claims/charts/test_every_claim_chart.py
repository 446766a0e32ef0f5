"""What all charts of claims share: the same bytes, no exception without values, text that is escaped, a file."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping

import numpy as np
import pytest

from chart_values import chart, claim_values, texts
from sparring.claims.charts import ClaimChart
from sparring.claims.charts.svg_file import svg_file
from sparring.claims.results import ClaimValues
from sparring.claims.values import Label, Pictures, Points, SampledCurve, Value
from sparring.core.pieces import members

CHARTS = [
    chart(name="lines", y="success", x="clip", lines="objective", panels="p"),
    chart(name="curves", y=["fall", "rise"], lines="objective", panels="p"),
    chart(name="bars", y=["success", "score"], x="objective", bars="clip", panels="p"),
    chart(name="scatter_rows", y="samples", rows=["objective", "p"], reference="real"),
    chart(name="picture_rows", y="pictures", rows="objective"),
    chart(name="histogram", y="shares", rows="objective"),
    chart(name="map", y="success", x="clip", rows="objective", panels="p"),
]
EACH = pytest.mark.parametrize("drawn", CHARTS, ids=lambda each: each.name)
HOSTILE = "</svg><script>alert(1)</script>&$\\frac{$"


def everything(labels: Mapping[str, Label], seed: int) -> dict[str, Value]:
    rng = np.random.default_rng(seed + len(str(labels)))
    x = (0.0, 1.0, 2.0, 3.0)
    points = tuple(rng.normal(size=(9, 2)).tolist() for _ in x)
    return {
        "success": float(rng.random() > 0.5),
        "score": float(rng.random()),
        "fall": SampledCurve(x=x, y=(4.0, 2.0, None, 1.0)),
        "rise": SampledCurve(x=x, y=tuple(rng.random(4).tolist())),
        "shares": SampledCurve(x=x, y=(0.1, 0.4, 0.4, 0.1)),
        "samples": Points(at=x, points=points),
        "real": Points(at=(0.0,), points=points[:1]),
        "pictures": Pictures(png={"clean": "iVBORw0KGgo=", HOSTILE: "no"}),
    }


def test_every_member_is_here() -> None:
    assert {each.name for each in CHARTS} == set(members(ClaimChart))  # type: ignore[type-abstract]


@EACH
def test_the_same_values_are_the_same_bytes(drawn: ClaimChart) -> None:
    values = claim_values(everything)
    assert drawn.draw(values, "one") == drawn.draw(values, "one")


@pytest.mark.parametrize(
    "drawn",
    [
        chart(name="lines", y="success", x="clip", lines="p"),
        chart(name="curves", y="rise", lines="p"),
        chart(name="bars", y="success", x="clip", bars="p"),
    ],
    ids=lambda each: each.name,
)
def test_a_number_in_a_legend_has_the_name_of_its_axis(drawn: ClaimChart) -> None:
    assert {"p = 0", "p = 0.4"} <= set(texts(drawn.draw(claim_values(everything), "one")))


@EACH
def test_nothing_played_is_no_exception(drawn: ClaimChart) -> None:
    unplayed = claim_values(lambda labels, seed: {})
    for values in (ClaimValues(()), unplayed):
        assert "nothing played yet" in drawn.draw(values, "one")


@EACH
def test_half_played_is_drawn(drawn: ClaimChart) -> None:
    def half(labels: Mapping[str, Label], seed: int) -> dict[str, Value]:
        return everything(labels, seed) if labels["objective"] == "linear" and seed < 1 else {}

    svg = drawn.draw(claim_values(half), "one")
    assert "nothing played yet" not in svg


@EACH
def test_only_the_cells_that_are_meant_are_drawn(drawn: ClaimChart) -> None:
    def hidden(labels: Mapping[str, Label], seed: int) -> dict[str, Value]:
        return everything(labels, seed) if labels["objective"] == "linear" else {}

    axes = {"clip": ("0.1", "none"), "p": (0,), "objective": ("linear",)}
    chosen = drawn.model_copy(update={"where": {"objective": "linear", "p": 0, "clip": ("0.1", "none")}})
    whole = {"clip": ("0.1", "0.2", "none"), "p": (0, 0.4), "objective": ("linear", "log")}
    assert chosen.draw(claim_values(hidden, whole), "one") == drawn.draw(claim_values(everything, axes), "one")


@EACH
def test_it_is_one_element_without_addresses_and_with_ids_of_its_own(drawn: ClaimChart) -> None:
    hostile = {"clip": (HOSTILE,), "p": (0, HOSTILE), "objective": (HOSTILE, "log")}
    svg = drawn.draw(claim_values(everything, hostile), "one")
    assert svg.startswith("<svg") and svg.rstrip().endswith("</svg>")
    assert not re.search(r"https?:|<script", svg)
    assert all(found.startswith("one-") for found in re.findall(r'\sid="([^"]*)"', svg))
    assert 'aria-labelledby="one-title"' in svg


@EACH
def test_its_file_is_a_document(drawn: ClaimChart) -> None:
    root = ET.fromstring(svg_file(drawn.draw(claim_values(everything), "one"), "one", "a & b"))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root[0].text == "a & b" and root[0].get("id") == "one-title"
    assert root[1].get("fill") == "#fff"


@EACH
def test_it_has_a_heading_and_a_caption(drawn: ClaimChart) -> None:
    assert drawn.heading and drawn.caption.endswith(".")
    assert drawn.model_copy(update={"title": "Another"}).heading == "Another"
    chosen = chart(name="lines", y="modes", x="clip", where={"p": 0, "objective": ["log", "linear"]})
    assert chosen.heading == "Modes covered, p = 0, log or linear"
    assert set(drawn.axes) <= {"clip", "p", "objective"}
    assert drawn.measures
