"""Films of generated samples; and every picture of a page is whole, and shown by a browser."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from browser import browser, loaded
from data_layouts import images
from report_pages import Page
from sparring.data import prepare
from sparring.monitoring.pictures import png_grid
from sparring.recipes import Recipe
from sparring.report import report_runs
from sparring.report.films import LEVELS, SIDE, games_in, plane
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

SIZES = (28, 64)
"""Sides of pictures in pixels."""
PROBE = """<script>
addEventListener("load", () => {
  for (const image of document.images) image.dataset.found = image.naturalWidth;
});
</script>"""


@pytest.fixture
def played(short: Callable[..., Recipe], tmp_path: Path, no_metrics: None) -> Callable[[int], RunFolder]:
    """A run on coloured noise of a side, with saved samples and a look at what D sees."""

    def play(side: int) -> RunFolder:
        pixels, labels, folder = images(12, side, side, 3), [0, 1] * 6, tmp_path / str(side)
        folder.mkdir()
        np.savez(folder / "noise.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
        prepare(str(folder / "noise.npz"), folder / "store")
        recipe = short(
            f"data={{name: store, path: {folder / 'store'}}}",
            "generator={name: mnist, latent: 8, width: 4}",
            "discriminator={name: mnist, width: 4}",
            "regime=symmetric",
            "batch_size=8",
            "steps=2",
            "sample_every=1",
            "evaluate_every=1",
        )
        train(recipe, folder / "run", device="cpu")
        return RunFolder.open(folder / "run")

    return play


def require_shown(page: Path, folder: Path) -> None:
    """Every picture has pixels in a browser, under the page's own policy for pictures."""
    source = page.read_text(encoding="utf-8")
    open_to_the_probe, policies = re.subn(r"script-src '[^']*'", "script-src 'unsafe-inline'", source)
    assert policies == 1
    probed = folder / "probed.html"
    probed.write_text(open_to_the_probe.replace("</body>", f"{PROBE}</body>"), encoding="utf-8")
    seen = folder / "seen.html"
    seen.write_text(loaded(probed, folder / "profile"), encoding="utf-8")
    pictures = Page(seen).named("img")
    assert len(pictures) == len(Page(page).named("img"))
    assert [found["alt"] for found in pictures if found.get("data-found") != found["width"]] == []


@pytest.mark.skipif(not browser(), reason="no browser here")
def test_every_picture_of_several_runs_is_shown(played: Callable[[int], RunFolder], tmp_path: Path) -> None:
    runs = [played(side) for side in SIZES]
    require_shown(report_runs(runs, tmp_path / "all.html", title="several"), tmp_path)


def test_points_and_landscape_lie_where_they_are() -> None:
    landscape = np.zeros((64, 64), np.float16)
    landscape[32:, :] = 1.0  # D says real in the upper half
    points = np.array([[1.0, 1.0], [9.0, 9.0]], np.float32)
    image = np.asarray(plane(points, landscape, 2.0, np.array([[-1.0, -1.0]]), 0.1))
    assert image.shape == (SIDE, SIDE)
    rows, columns = np.nonzero(image == LEVELS + 1)
    assert abs(columns.mean() / SIDE - 0.75) < 0.01
    assert abs(rows.mean() / SIDE - 0.25) < 0.01
    rows, columns = np.nonzero(image == LEVELS)
    assert abs(columns.mean() / SIDE - 0.25) < 0.01
    assert abs(rows.mean() / SIDE - 0.75) < 0.01
    assert image[5, 5] == LEVELS - 1
    assert image[-5, 5] == 0


def test_a_grid_is_cut_into_its_games() -> None:
    games, each = 3, 21
    shades = torch.linspace(-1, 1, games * each).reshape(-1, 1, 1, 1)
    grid = Image.open(io.BytesIO(png_grid(shades.expand(-1, 1, 8, 8))))
    parts = games_in(grid, games, each)
    tiles: list[Any] = []
    for part in parts:
        assert part.size == (7 * 66, 3 * 66)
        pixels = np.asarray(part)
        tiles += [pixels[top + 33, left + 33] for top in range(0, 198, 66) for left in range(0, 462, 66)]
    expected = ((shades.flatten() + 1) * 127.5 + 0.5).floor().numpy()
    assert np.array_equal(tiles, expected)
    assert games_in(grid.crop((0, 0, 101, 100)), games, each) == []
