"""The drawing of a line: where its arrows, densities and curve are; and that a browser shows it."""

from __future__ import annotations

import base64
import itertools
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from browser import NATURAL_WIDTHS, browser, seen
from report_pages import Page
from sparring.recipes import load
from sparring.report import report_run
from sparring.report.line_drawing import _BOTTOM, _LEFT, _RIGHT, _TOP, LinePicture, line_drawing
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

SVG = "{http://www.w3.org/2000/svg}"
EDGES = np.linspace(-4.0, 4.0, 5)
LINE = LinePicture(
    edges=EDGES,
    real=np.array([0.0, 0.5, 0.0, 0.0]),
    generated=np.array([0.0, 0.0, 0.25, 9.0]),
    places=np.array([-4.0, 0.0, 4.0]),
    score=np.array([-50.0, 0.0, 50.0]),
    starts=np.array([-2.0, 1.0, 3.0]),
    gradient=np.array([2.0, 0.0, 7.0]),
)


def drawn(line: LinePicture, *, is_critic: bool = False) -> ET.Element:
    uri = line_drawing(line, is_critic=is_critic)
    head, _, body = uri.partition(",")
    assert head == "data:image/svg+xml;base64"
    return ET.fromstring(base64.b64decode(body).decode())


def across(x: float) -> float:
    return _LEFT + (x + 4) / 8 * (_RIGHT - _LEFT)


def test_arrows_lead_along_the_gradient() -> None:
    root = drawn(LINE)
    dots = [float(each.attrib["cx"]) for each in root.iter(f"{SVG}circle")]
    assert dots == pytest.approx([across(x) for x in (-2, 1, 3)], abs=0.1)
    arrows = [each.attrib["d"] for each in root.iter(f"{SVG}path") if each.attrib.get("stroke-width") == "2"]
    ends = [float(path.partition("H")[2].partition("M")[0]) for path in arrows]
    assert ends == pytest.approx([across(0), across(4)], abs=0.1)  # none without a gradient; the last ends at the edge


def test_a_curve_is_the_probability_or_the_range_of_a_critic() -> None:
    for is_critic, score, labels in (
        (False, LINE.score, ["0", "0.5", "1"]),
        (True, np.array([-3.0, 0.0, 3.0]), ["−3", "3"]),
    ):
        root = drawn(replace(LINE, score=score), is_critic=is_critic)
        (curve,) = root.iter(f"{SVG}polyline")
        places = [tuple(map(float, pair.split(","))) for pair in curve.attrib["points"].split()]
        middle = (_TOP + _BOTTOM) / 2
        expected = [(across(-4), _BOTTOM), (across(0), middle), (across(4), _TOP)]
        assert np.allclose(places, expected, atol=0.1)
        green = [each.text for each in root.iter(f"{SVG}text") if each.attrib.get("fill") == curve.attrib["stroke"]]
        assert green == [*labels, "D"]


def test_densities_share_one_scale_and_are_cut_off() -> None:
    real, generated = (
        [tuple(map(float, pair.split(","))) for pair in each.attrib["points"].split()]
        for each in drawn(LINE).iter(f"{SVG}polygon")
    )
    height = _BOTTOM - _TOP
    assert min(y for _, y in real) == pytest.approx(_BOTTOM - height / 1.5, abs=0.1)
    tops = {round((_BOTTOM - y) / height, 3) for _, y in generated}
    assert tops == {0.0, 0.333, 1.0}
    assert all(b[0] >= a[0] for a, b in itertools.pairwise(real))


@pytest.mark.usefixtures("undrawn")
@pytest.mark.skipif(not browser(), reason="no browser here")
def test_a_page_of_a_line_is_shown(tmp_path: Path, no_metrics: None) -> None:
    recipe = load("notes/lipschitz-discriminator", ["steps=2", "sample_every=1", "evaluate_every=0", "log_every=1"])
    train(recipe, tmp_path / "run", device="cpu")
    path = report_run(RunFolder.open(tmp_path / "run"))
    page = Page(path)
    pictures = [each["src"] or "" for each in page.named("img")]
    assert len(pictures) == 3 and all(each.startswith("data:image/svg+xml") for each in pictures)
    assert "real density" in page.text and "true mode" not in page.text
    ((widths,),) = seen({"page": path}, NATURAL_WIDTHS, tmp_path).values()
    assert len(widths) == 3 and all(widths)
