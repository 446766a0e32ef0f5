"""Values of claims, and what a drawn chart holds, for tests of charts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from sparring.claims.charts import ClaimChart
from sparring.claims.results import CellValues, ClaimValues
from sparring.claims.values import Label, Published, Value

AXES: dict[str, tuple[Label, ...]] = {"clip": ("0.5", "0.05", "none"), "p": (0, 0.4), "objective": ("log", "linear")}


def claim_values(
    of: Callable[[Mapping[str, Label], int], Mapping[str, Value]],
    axes: Mapping[str, tuple[Label, ...]] = AXES,
    *,
    seeds: int = 5,
    published: tuple[Published, ...] = (),
) -> ClaimValues:
    """Every combination of labels, with the values of a cell and a seed; a cell without any is unplayed."""
    cells = []
    for combination in product(*axes.values()):
        labels = dict(zip(axes, combination, strict=True))
        games = {seed: found for seed in range(seeds) if (found := of(labels, seed))}
        cells.append(CellValues(labels, games))
    return ClaimValues(tuple(cells), published)


def chart(**values: Any) -> ClaimChart:
    """The chart of these keys, as a file has them."""
    return ClaimChart.model_validate(values)


def paths(svg: str, *looks: str) -> list[list[npt.NDArray[np.float64]]]:
    """The paths whose element has these texts: a list of strokes each, every one `(n, 2)` in the drawing."""
    elements = [found[0] for found in re.finditer(r"<path [^>]*>", svg) if all(look in found[0] for look in looks)]
    return [
        [
            np.array([[float(number) for number in pair.split()] for pair in re.findall(r"-?[\d.]+ -?[\d.]+", stroke)])
            for stroke in re.search(r'\bd="([^"]*)"', element)[1].split("M")[1:]  # type: ignore[index]
        ]
        for element in elements
    ]


def texts(svg: str) -> list[str]:
    """Every text of a drawing."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def assert_affine(drawn: npt.ArrayLike, values: npt.ArrayLike) -> None:
    """Heights in the drawing are a falling affine function of the values: the axis points down."""
    down, up = np.asarray(drawn, dtype=np.float64), np.asarray(values, dtype=np.float64)
    slope, offset = np.polyfit(up, down, 1)
    assert slope < 0
    np.testing.assert_allclose(down, slope * up + offset, atol=0.02)
