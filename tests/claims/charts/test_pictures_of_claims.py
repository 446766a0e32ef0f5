"""Rows of scatter plots and of pictures: where dots stand, what is outside, whose pictures are shown."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping

import numpy as np
import pytest
from PIL import Image

from chart_values import chart, claim_values, texts
from sparring.claims.charts.picture_rows import PictureRows, png_size
from sparring.claims.charts.scatter_rows import ScatterRows, frame_of, inside
from sparring.claims.values import Label, Pictures, Points, Value

TWO = {"objective": ("log", "linear"), "p": (0, 0.4)}
SCATTER = chart(name="scatter_rows", y="samples", rows=["objective", "p"])
PICTURES = chart(name="picture_rows", y="pictures", rows="objective")
assert isinstance(SCATTER, ScatterRows) and isinstance(PICTURES, PictureRows)


def cloud(labels: Mapping[str, Label], seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, *map(ord, str(labels))])
    return rng.normal(size=(50, 2))


def samples(labels: Mapping[str, Label], seed: int) -> dict[str, Value]:
    far = [*cloud(labels, seed).tolist(), [100.0, 0.0]]
    return {"samples": Points(at=(0.0, 500.0), points=(far, cloud(labels, seed + 1).tolist()))}


def dots(path: str) -> np.ndarray:
    return np.array([[float(number) for number in pair] for pair in re.findall(r"M(-?[\d.]+) (-?[\d.]+)h0", path)])


def test_dots_stand_where_the_samples_are() -> None:
    values = claim_values(samples, TWO)
    rows = SCATTER.scatters(values)
    assert [(row.label, row.seed) for row in rows] == [
        ("log, p = 0", 0),
        ("log, p = 0.4", 0),
        ("linear, p = 0", 0),
        ("linear, p = 0.4", 0),
    ]
    x, y, half = frame_of([each for row in rows for each in row.points])
    assert half < 10
    drawn = [dots(path) for path in re.findall(r'<path d="([^"]*)"', SCATTER.draw(values, "one"))]
    expected = [points for row in rows for points in row.points]
    assert len(drawn) == len(expected) == 8
    for found, points in zip(drawn, expected, strict=True):
        back = np.stack([x + (found[:, 0] / 50 - 1) * half, y - (found[:, 1] / 50 - 1) * half], axis=1)
        np.testing.assert_allclose(back, points[np.abs(points - (x, y)).max(1) <= half], atol=0.002 * half)


def test_samples_outside_are_counted() -> None:
    svg = SCATTER.draw(claim_values(samples, TWO), "one")
    assert any(re.fullmatch(r"0, [1-9] outside", text) for text in texts(svg))
    cloud = np.array([[0.0, 0.0], [1.0, 1.0], [1.0, 1.1], [-3.0, 0.0]])
    np.testing.assert_allclose(inside(cloud, (0.0, 0.0, 1.0)), cloud[:2])


def test_the_frame_is_robust() -> None:
    near = np.random.default_rng(0).uniform(-1, 1, (1000, 2))
    far = np.concatenate([near, np.full((5, 2), 1e6)])
    assert frame_of([far]) == pytest.approx(frame_of([near]), abs=0.05)
    assert frame_of([near])[2] == pytest.approx(1.5, abs=0.1)
    assert frame_of([]) == frame_of([np.full((3, 2), np.nan)]) == (0.0, 0.0, 1.0)


def test_the_reference_makes_the_frame_and_is_behind() -> None:
    def with_real(labels: Mapping[str, Label], seed: int) -> dict[str, Value]:
        real = (10 * cloud(labels, 7)).tolist()
        return samples(labels, seed) | {"real": Points(at=(0.0,), points=(real,))}

    svg = chart(name="scatter_rows", y="samples", rows="objective", reference="real").draw(claim_values(with_real), "a")
    colours = re.findall(r'stroke="(#[0-9A-F]{6})"', svg)
    assert colours == ["#0072B2", "#D55E00"] * 4


def png(size: tuple[int, int], value: int = 0) -> str:
    out = io.BytesIO()
    Image.new("L", size, value).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def test_pictures_are_those_of_the_first_seed_that_has_some() -> None:
    def late(labels: Mapping[str, Label], seed: int) -> dict[str, Value]:
        names = {"clean": png((4, 8), seed), "attacked": png((4, 8), 100 + seed)}
        return {"pictures": Pictures(png=names if seed > 1 else {})}

    values = claim_values(late)
    assert [(row.label, row.seed) for row in PICTURES.pictures(values)] == [("log", 2), ("linear", 2)]
    svg = PICTURES.draw(values, "one")
    assert re.findall(r"base64,([^\"]*)", svg) == [png((4, 8), 2), png((4, 8), 102)] * 2
    assert re.findall(r'<image width="100" height="([\d.]+)"', svg) == ["200.0"] * 4
    assert texts(svg) == ["log", "clean", "attacked", "linear", "clean", "attacked"]


def test_rows_of_one_picture_stand_side_by_side() -> None:
    values = claim_values(lambda labels, seed: {"pictures": Pictures(png={"samples": png((5, 5))})}, TWO)
    side = chart(name="picture_rows", y="pictures", rows=["objective", "p"]).draw(values, "one")
    assert texts(side) == ["log, p = 0", "log, p = 0.4", "linear, p = 0", "linear, p = 0.4"]
    places = re.findall(r"translate\((\d+) ([\d.]+)\)", side)
    assert [left for left, _ in places] == ["0", "106", "212", "0"]
    assert len({top for _, top in places}) == 2


def test_the_size_of_a_picture_is_read_from_its_head() -> None:
    assert png_size(png((7, 3))) == (7, 3)
    assert png_size("no png") == png_size("") == png_size("bm90IGEgcG5n") == (1, 1)
