"""Films of generated samples: points and landscapes lie where they are, a grid is cut into its games."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import torch
from PIL import Image

from sparring.monitoring.pictures import png_grid
from sparring.report.films import games_in
from sparring.report.plane_drawing import LEVELS, SIDE, plane


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
