"""Generated samples over time: a panel for every game and saved round, as PNG data URIs."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from sparring.data import Mixture
from sparring.monitoring.pictures import IMAGES
from sparring.objectives import Wasserstein
from sparring.recipes import Recipe
from sparring.report.format import number
from sparring.report.line_drawing import LINE_ARRAYS, LINE_SIZE, line_drawing, line_of
from sparring.report.metric_info import primary
from sparring.report.read import Run, load_arrays, load_picture

SIDE = 288
"""Pixels of a panel of points, about twice its size on the page."""
LEVELS = 20
"""Shades of D's landscape."""
_MOST = 41
"""Saved rounds of one run on a page, at most."""
_BUDGET = 9_000_000
"""Bytes of pictures on a page, roughly."""
_PANEL_BYTES = 7_000
"""Bytes of a panel of points, roughly."""

_FAKE, _EVEN, _REAL = (243, 178, 133), (250, 250, 247), (140, 190, 226)
_RING, _DOT = (0, 84, 140), (20, 20, 20)


@dataclass(frozen=True)
class Panel:
    """One game at one saved round."""

    image: str
    size: tuple[int, int]
    title: str
    note: str


@dataclass(frozen=True)
class Film:
    """The panels of all games by round, the number of rounds that were saved, and what the panels show."""

    frames: dict[int, tuple[Panel, ...]]
    saved: int
    kind: Literal["images", "plane", "line"]


def films(runs: Sequence[Run]) -> list[Film]:
    """The film of every run; together they keep the page's budget of bytes."""
    saved = [_saved(run) for run in runs]
    weight = sum(_weight(run, files) for run, files in zip(runs, saved, strict=True))
    count = max(2, min(_MOST, _BUDGET // max(weight, 1)))
    return [_film(run, files, count) for run, files in zip(runs, saved, strict=True)]


def _saved(run: Run) -> list[Path]:
    files = [*run.folder.samples.glob("*.png"), *run.folder.samples.glob("*.npz")]
    return sorted((file for file in files if file.stem.isdecimal()), key=lambda file: int(file.stem))


def _weight(run: Run, files: list[Path]) -> int:
    if not files:
        return 0
    last = files[-1]
    return last.stat().st_size if last.suffix == ".png" else _PANEL_BYTES * run.recipe.replicas


def _film(run: Run, files: list[Path], count: int) -> Film:
    picked = np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int).tolist()
    kind = _kind(files)
    panels = {"images": _image_panels, "plane": _points_panels, "line": _line_panels}[kind]
    frames = {int(files[index].stem): panels(run, files[index], int(files[index].stem)) for index in picked}
    return Film({step: shown for step, shown in frames.items() if shown}, len(files), kind)


def _kind(files: list[Path]) -> Literal["images", "plane", "line"]:
    if all(file.suffix == ".png" for file in files):
        return "images"
    return "line" if any(load_arrays(file, LINE_ARRAYS) for file in files) else "plane"


def _points_panels(run: Run, file: Path, step: int) -> tuple[Panel, ...]:
    """The panels in one file; none if it cannot be read."""
    arrays = load_arrays(file, ("points", "landscape", "extent"))
    if arrays is None:
        return ()
    extent, data = float(arrays["extent"]), run.recipe.data
    modes = (data.centres().numpy(), data.std) if isinstance(data, Mixture) else (np.zeros((0, 2)), 0.0)
    panels = []
    for game, (points, landscape) in enumerate(zip(arrays["points"], arrays["landscape"], strict=True)):
        outside = int((np.abs(points) > extent).any(axis=1).sum())
        missing = f"{number(outside)} of {number(len(points))} outside" if outside else ""
        note = ", ".join(part for part in (_measured(run, game, step), missing) if part)
        image = plane(points, landscape, extent, *modes)
        panels.append(Panel(data_uri(image), image.size, run.titles[game], note))
    return tuple(panels)


def _line_panels(run: Run, file: Path, step: int) -> tuple[Panel, ...]:
    """The panels in one file; none if it cannot be read."""
    arrays = load_arrays(file, LINE_ARRAYS)
    if arrays is None:
        return ()
    is_critic = isinstance(run.recipe, Recipe) and isinstance(run.recipe.objective, Wasserstein)
    return tuple(
        Panel(line_drawing(line_of(arrays, game), is_critic=is_critic), LINE_SIZE, title, _measured(run, game, step))
        for game, title in enumerate(run.titles)
    )


def plane(
    points: npt.NDArray[Any], landscape: npt.NDArray[Any], extent: float, centres: npt.NDArray[Any], std: float
) -> Image.Image:
    """Generated points and the true modes, as rings of 3 std, over D's probability of "real".

    Args:
        points: `(n, 2)`.
        landscape: D's output in [0, 1] at [y, x], upwards.
        extent: half the side of the square that it covers.
        centres: of the true modes, `(modes, 2)`.
        std: of a mode.
    """
    field = Image.fromarray(np.nan_to_num(landscape[::-1].astype(np.float32), nan=0.5))
    smooth = np.asarray(field.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    shades = np.clip((smooth * LEVELS).astype(np.int64), 0, LEVELS - 1).astype(np.uint8)
    image = Image.fromarray(shades)
    draw = ImageDraw.Draw(image)
    for x, y in _pixels(centres, extent):
        radius = 3 * std / extent * SIDE / 2
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=LEVELS, width=2)
    canvas = np.pad(np.asarray(image), 1)
    inside = points[(np.abs(points) <= extent).all(axis=1)]
    columns, rows = np.clip(_pixels(inside, extent).round().astype(int), 0, SIDE - 1).T
    for down, right in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)):
        canvas[rows + 1 + down, columns + 1 + right] = LEVELS + 1
    final = Image.fromarray(np.ascontiguousarray(canvas[1:-1, 1:-1]), mode="P")
    final.putpalette(_palette())
    return final


def _pixels(points: npt.NDArray[Any], extent: float) -> npt.NDArray[np.float64]:
    """Column and row of points of the plane, `(n, 2)`."""
    unit = points.astype(np.float64) * (1, -1) / extent
    scaled: npt.NDArray[np.float64] = (unit + 1) / 2 * (SIDE - 1)
    return scaled


def _palette() -> list[int]:
    """Vermillion where D says generated, blue where it says real, pale in between; then ring and dot."""
    half = LEVELS // 2
    falling = np.linspace(_FAKE, _EVEN, half)
    rising = np.linspace(_EVEN, _REAL, LEVELS - half)
    colours = np.vstack([falling, rising, [_RING], [_DOT]]).round().astype(int)
    return [int(value) for value in colours.flatten()]


def _image_panels(run: Run, file: Path, step: int) -> tuple[Panel, ...]:
    grid, games = load_picture(file), run.recipe.replicas
    if grid is None:
        return ()
    return tuple(
        Panel(data_uri(part), part.size, run.titles[game], _measured(run, game, step))
        for game, part in enumerate(games_in(grid, games, max(1, IMAGES // games)))
    )


def games_in(grid: Image.Image, games: int, each: int) -> list[Image.Image]:
    """The grid of all games' images as one grid for each game; empty if it does not divide.

    Args:
        grid: `games * each` tiles, rows first, in a grid as square as possible.
        games: number of games.
        each: tiles of each game.
    """
    columns = math.ceil(math.sqrt(games * each))
    rows = math.ceil(games * each / columns)
    if grid.width % columns or grid.height % rows:
        return []
    pixels = np.asarray(grid).reshape(rows, grid.height // rows, columns, grid.width // columns, -1)
    tiles = pixels.swapaxes(1, 2).reshape(rows * columns, *pixels.shape[1:4:2], -1)
    return [_grid_of(tiles[game * each : (game + 1) * each]) for game in range(games)]


def _grid_of(tiles: npt.NDArray[Any]) -> Image.Image:
    """Tiles `(n, height, width, channels)` in full rows, or about in a square, on white."""
    count, height, width, channels = tiles.shape
    square = math.ceil(math.sqrt(count))
    columns = next((n for n in range(square, count + 1) if count % n == 0 and n * n < 3 * count), square)
    rows = math.ceil(count / columns)
    white = np.full((rows * columns - count, height, width, channels), 255, np.uint8)
    grid = np.concatenate([tiles, white]).reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    pixels = grid.reshape(rows * height, columns * width, channels)
    return Image.fromarray(pixels if channels == 3 else pixels[..., 0])


def data_uri(image: Image.Image) -> str:
    """An image as a PNG data URI."""
    out = io.BytesIO()
    image.save(out, format="PNG", optimize=False, compress_level=6)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def _measured(run: Run, game: int, step: int) -> str:
    """The primary metric of a game, if it was measured at this round."""
    metric = primary(run)
    series = run.series(metric.name) if metric else None
    if metric is None or series is None:
        return ""
    places = np.flatnonzero(series.steps == step)
    return metric.amount(float(series.values[places[0], game])) if len(places) else ""
