"""What a generator makes over time: one small panel for every game and saved round, as PNG data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from sparring.core.errors import CorruptInput
from sparring.data import Mixture
from sparring.monitoring.pictures import IMAGES
from sparring.report.format import number
from sparring.report.metric_info import primary
from sparring.report.read import Run
from sparring.report.saved import Arrays, arrays_in, picture_in

SIDE = 288
"""Pixels of a panel of points, about twice its size on the page."""
LEVELS = 20
"""Shades of D's landscape."""
MOST = 41
"""Saved rounds of one run on a page, at most."""
BUDGET = 9_000_000
"""Bytes of pictures on a page, roughly."""
LARGEST_FIELD = 1024
"""Places of D's landscape along a side, at most."""
PANEL_BYTES = 7_000
"""What a panel of points takes, roughly."""

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
class Frame:
    """All games of a run at one saved round."""

    step: int
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Film:
    """The frames of a run, with the number of rounds that were saved."""

    frames: tuple[Frame, ...]
    saved: int
    is_plane: bool

    @property
    def note(self) -> str:
        """A remark if not every saved round is shown."""
        shown = len(self.frames)
        return "" if shown == self.saved else f"{shown:,} of {self.saved:,} saved rounds are shown."


def films(runs: Sequence[Run]) -> list[Film]:
    """The film of every run, all of them together within the page's budget."""
    saved = [_saved(run) for run in runs]
    weight = sum(_weight(run, files) for run, files in zip(runs, saved, strict=True))
    count = max(2, min(MOST, BUDGET // max(weight, 1)))
    return [_film(run, files, count) for run, files in zip(runs, saved, strict=True)]


def _saved(run: Run) -> list[Path]:
    files = [*run.folder.samples.glob("*.png"), *run.folder.samples.glob("*.npz")]
    return sorted((file for file in files if file.stem.isdecimal()), key=lambda file: int(file.stem))


def _weight(run: Run, files: list[Path]) -> int:
    if not files:
        return 0
    last = files[-1]
    return last.stat().st_size if last.suffix == ".png" else PANEL_BYTES * run.recipe.replicas


def _film(run: Run, files: list[Path], count: int) -> Film:
    picked = np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int).tolist()
    frames = [_frame(run, files[index]) for index in picked]
    is_plane = any(file.suffix == ".npz" for file in files)
    return Film(tuple(frame for frame in frames if frame), len(files), is_plane)


def _frame(run: Run, file: Path) -> Frame | None:
    """The panels in one file; None if it cannot be read."""
    step = int(file.stem)
    try:
        panels = _plane_panels(run, file, step) if file.suffix == ".npz" else _image_panels(run, file, step)
    except (CorruptInput, OSError, KeyError):
        return None
    return Frame(step, panels)


def _plane_panels(run: Run, file: Path, step: int) -> tuple[Panel, ...]:
    arrays = arrays_in(file)
    points, landscape, extent = _plane_of(arrays, run.recipe.replicas, file)
    data = run.recipe.data
    modes = (data.centres().numpy(), data.std) if isinstance(data, Mixture) else (np.zeros((0, 2)), 0.0)
    panels = []
    for game, (cloud, field) in enumerate(zip(points, landscape, strict=True)):
        outside = int((~(np.abs(cloud) <= extent).all(axis=1)).sum())
        gone = f"{number(outside)} of {number(len(cloud))} outside" if outside else ""
        note = ", ".join(part for part in (_measured(run, game, step), gone) if part)
        image = plane(cloud, field, extent, *modes)
        panels.append(Panel(data_uri(image), image.size, _title(run, game), note))
    return tuple(panels)


def _plane_of(arrays: Arrays, games: int, file: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any], float]:
    """Points `(games, n, 2)`, D's landscape `(games, side, side)` and half the side of the plane.

    Raises:
        KeyError: one of them is missing.
        CorruptInput: they are something else.
    """
    points, landscape, extent = arrays["points"], arrays["landscape"], arrays["extent"]
    numbers = all(each.dtype.kind == "f" for each in (points, landscape, extent))
    shapes = points.ndim == 3 and points.shape[2] == 2 and landscape.ndim == 3 and extent.ndim == 0
    counts = shapes and len(points) == len(landscape) == games and 0 < min(landscape.shape[1:]) <= LARGEST_FIELD
    if not (numbers and counts and max(landscape.shape) <= LARGEST_FIELD and 0 < float(extent) < np.inf):
        raise CorruptInput(f"{file}: no points of {games} games with a landscape", "remove the file")
    return points, landscape, float(extent)


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
    grid = picture_in(file)
    each = IMAGES // run.recipe.replicas
    parts = games_in(grid, run.recipe.replicas, each)
    if not parts:
        return (Panel(data_uri(grid), grid.size, f"{number(run.recipe.replicas)} games", ""),)
    return tuple(
        Panel(data_uri(part), part.size, _title(run, game), _measured(run, game, step))
        for game, part in enumerate(parts)
    )


def games_in(grid: Image.Image, games: int, each: int) -> list[Image.Image]:
    """A grid of the images of all games, cut into one grid a game; empty if it does not divide.

    Args:
        grid: `games * each` tiles, rows first, in a grid as square as can be.
        games: how many games it holds.
        each: tiles of each game.
    """
    count = games * each
    columns = int(np.ceil(np.sqrt(count))) if count else 0
    rows = int(np.ceil(count / columns)) if count else 0
    if not count or grid.width % columns or grid.height % rows:
        return []
    wide, tall = grid.width // columns, grid.height // rows
    across = _across(each)
    size = (across * wide, -(-each // across) * tall)
    parts = [Image.new(grid.mode, size, "white") for _ in range(games)]
    for index in range(count):
        left, top = index % columns * wide, index // columns * tall
        game, place = divmod(index, each)
        tile = grid.crop((left, top, left + wide, top + tall))
        parts[game].paste(tile, (place % across * wide, place // across * tall))
    return parts


def _across(count: int) -> int:
    """Columns of a grid: full rows where that leaves it less than three times as wide as high, else about a square."""
    square = int(np.ceil(np.sqrt(count)))
    full = [columns for columns in range(square, count + 1) if count % columns == 0 and columns**2 < 3 * count]
    return full[0] if full else square


def data_uri(image: Image.Image) -> str:
    """An image as a PNG data URI."""
    out = io.BytesIO()
    image.save(out, format="PNG", optimize=False, compress_level=6)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def _title(run: Run, game: int) -> str:
    return run.titles[game]


def _measured(run: Run, game: int, step: int) -> str:
    """The main measure of a game at this round, if it was taken then."""
    measure = primary(run)
    series = run.series(measure.name) if measure else None
    if measure is None or series is None:
        return ""
    at = np.flatnonzero(series.steps == step)
    return measure.amount(float(series.values[at[0], game])) if len(at) else ""
