"""Generated samples over time: a panel for every game and saved round, as PNG data URIs."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from sparring.data import Mixture
from sparring.monitoring.pictures import IMAGES
from sparring.objectives import Wasserstein
from sparring.recipes import Recipe
from sparring.report.format import number
from sparring.report.line_drawing import LINE_ARRAYS, LINE_SIZE, line_drawing, line_of
from sparring.report.metric_info import MetricInfo, primary
from sparring.report.plane_drawing import plane
from sparring.report.read import RunRecord, load_arrays, load_picture

_MOST = 41
"""Saved rounds of one run on a page, at most."""
_BUDGET = 9_000_000
"""Bytes of pictures on a page, roughly."""
_PANEL_BYTES = 7_000
"""Bytes of a panel of points, roughly."""
_ROWS = 16
"""Up to this many classes have a row of their own."""
_FEW = 3
"""Games whose last samples stand for a run in a few lines."""
_SMALL_SIDE = 32
"""Images up to this side are enlarged, so that their pixels are seen."""


@dataclass(frozen=True)
class Panel:
    """One game at one saved round.

    Args:
        image: as a data URI.
        size: its width and height in pixels.
        title, note: below it.
        rows: names of the classes in its rows; none where a row is of no class.
        is_crisp: whether its pixels are to be seen.
    """

    image: str
    size: tuple[int, int]
    title: str
    note: str
    rows: tuple[str, ...] = ()
    is_crisp: bool = False

    @property
    def shape(self) -> str:
        """Width over height."""
        return f"{self.size[0] / self.size[1]:.3f}"


@dataclass(frozen=True)
class Film:
    """The panels of all games by round, the number of rounds that were saved, and what the panels show."""

    frames: dict[int, tuple[Panel, ...]]
    saved: int
    kind: Literal["images", "plane", "line"]

    @property
    def last_panels(self) -> tuple[Panel, ...]:
        """Those of the first few games at the last round."""
        return next(reversed(self.frames.values()), ())[:_FEW]


def films(runs: Sequence[RunRecord]) -> list[Film]:
    """The film of every run; together they keep the page's budget of bytes."""
    saved = [_saved(run) for run in runs]
    weight = sum(_weight(run, files) for run, files in zip(runs, saved, strict=True))
    count = max(2, min(_MOST, _BUDGET // max(weight, 1)))
    return [_film(run, files, count) for run, files in zip(runs, saved, strict=True)]


def across(panels: int) -> int:
    """How many panels are side by side where all are seen at once."""
    return panels if panels <= 2 else math.ceil(math.sqrt(panels))


def _saved(run: RunRecord) -> list[Path]:
    files = [*run.folder.samples.glob("*.png"), *run.folder.samples.glob("*.npz")]
    return sorted((file for file in files if file.stem.isdecimal()), key=lambda file: int(file.stem))


def _weight(run: RunRecord, files: list[Path]) -> int:
    if not files:
        return 0
    last = files[-1]
    return last.stat().st_size if last.suffix == ".png" else _PANEL_BYTES * run.recipe.replicas


def _film(run: RunRecord, files: list[Path], count: int) -> Film:
    picked = np.linspace(0, len(files) - 1, min(count, len(files))).round().astype(int).tolist()
    kind = _kind(files)
    panels = {"images": _image_panels, "plane": _points_panels, "line": _line_panels}[kind]
    frames = {int(files[index].stem): panels(run, files[index], int(files[index].stem)) for index in picked}
    return Film({step: shown for step, shown in frames.items() if shown}, len(files), kind)


def _kind(files: list[Path]) -> Literal["images", "plane", "line"]:
    if all(file.suffix == ".png" for file in files):
        return "images"
    return "line" if any(load_arrays(file, LINE_ARRAYS) for file in files) else "plane"


def _points_panels(run: RunRecord, file: Path, step: int) -> tuple[Panel, ...]:
    """The panels in one file; none if it cannot be read."""
    arrays = load_arrays(file, ("points", "landscape", "extent"))
    if arrays is None:
        return ()
    extent, data = float(arrays["extent"]), run.recipe.data
    modes = (data.centres().numpy(), data.std) if isinstance(data, Mixture) else (np.zeros((0, 2)), 0.0)
    panels = []
    for game, (points, landscape) in enumerate(zip(arrays["points"], arrays["landscape"], strict=True)):
        outside = int((np.abs(points) > extent).any(axis=1).sum())
        missing = f"{number(outside) if outside < len(points) else 'all'} outside" if outside else ""
        note = ", ".join(part for part in (_measured(run, game, step), missing) if part)
        image = plane(points, landscape, extent, *modes)
        panels.append(Panel(data_uri(image), image.size, run.titles[game], note))
    return tuple(panels)


def _line_panels(run: RunRecord, file: Path, step: int) -> tuple[Panel, ...]:
    """The panels in one file; none if it cannot be read."""
    arrays = load_arrays(file, LINE_ARRAYS)
    if arrays is None:
        return ()
    is_critic = isinstance(run.recipe, Recipe) and isinstance(run.recipe.objective, Wasserstein)
    return tuple(
        Panel(line_drawing(line_of(arrays, game), is_critic=is_critic), LINE_SIZE, title, _measured(run, game, step))
        for game, title in enumerate(run.titles)
    )


def _image_panels(run: RunRecord, file: Path, step: int) -> tuple[Panel, ...]:
    """The panels of the images of all games; beside those of the running mean of G those of G itself, if saved."""
    live = load_picture(file.with_suffix(".live.png"))
    averaged = _grids(run, load_picture(file), step, "running mean" if live else "")
    return tuple(
        panel for both in zip_longest(averaged, _grids(run, live, step, "G itself")) for panel in both if panel
    )


def _grids(run: RunRecord, grid: Image.Image | None, step: int, which: str) -> list[Panel]:
    """The panel of every game in one picture; none without it."""
    games, facts = run.recipe.replicas, run.facts
    each = max(1, IMAGES // games)
    rows = _class_rows(run, each)
    is_crisp = facts is None or facts.shape[-1] <= _SMALL_SIDE
    measured = _live if which == "G itself" else _measured
    return [
        Panel(
            image=data_uri(part),
            size=part.size,
            title=", ".join(filter(None, (run.titles[game] if games > 1 else "", which))),
            note=measured(run, game, step),
            rows=rows,
            is_crisp=is_crisp,
        )
        for game, part in enumerate(games_in(grid, games, each, len(rows)) if grid else ())
    ]


def _class_rows(run: RunRecord, each: int) -> tuple[str, ...]:
    """The names of the classes if every row of a game's images may be of one."""
    is_conditional = isinstance(run.recipe, Recipe) and run.recipe.generator.conditional
    names = run.facts.classes if is_conditional and run.facts else ()
    return names if 1 < len(names) <= min(_ROWS, each) else ()


def games_in(grid: Image.Image, games: int, each: int, classes: int = 0) -> list[Image.Image]:
    """The grid of all games' images as one grid for each game; empty if it does not divide.

    Args:
        grid: `games * each` tiles, rows first, in a grid as square as possible.
        games: number of games.
        each: tiles of each game.
        classes: if there are any, a row for each, with equally many of the tiles, which are in order of classes.
    """
    columns = math.ceil(math.sqrt(games * each))
    rows = math.ceil(games * each / columns)
    if grid.width % columns or grid.height % rows:
        return []
    pixels = np.asarray(grid).reshape(rows, grid.height // rows, columns, grid.width // columns, -1)
    tiles = pixels.swapaxes(1, 2).reshape(rows * columns, *pixels.shape[1:4:2], -1)
    of_games = [tiles[game * each : (game + 1) * each] for game in range(games)]
    if not classes:
        return [_grid_of(part, _columns(each)) for part in of_games]
    alike, firsts = each // classes, [-(-each * label // classes) for label in range(classes)]
    chosen = np.concatenate([np.arange(first, first + alike) for first in firsts])
    return [_grid_of(part[chosen], alike) for part in of_games]


def _columns(count: int) -> int:
    """Columns of full rows that are about a square, or of a square that is not full."""
    square = math.ceil(math.sqrt(count))
    return next((n for n in range(square, count + 1) if count % n == 0 and n * n < 3 * count), square)


def _grid_of(tiles: npt.NDArray[Any], columns: int) -> Image.Image:
    """Tiles `(n, height, width, channels)` in rows, on white."""
    count, height, width, channels = tiles.shape
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


def _measured(run: RunRecord, game: int, step: int) -> str:
    """The primary metric of a game, if it was measured at this round."""
    metric = primary(run)
    return _amount(run, metric, metric.name, game, step) if metric else ""


def _live(run: RunRecord, game: int, step: int) -> str:
    """The same of G itself, where the primary metric is of its running mean."""
    metric = primary(run)
    return _amount(run, metric, metric.live, game, step) if metric else ""


def _amount(run: RunRecord, metric: MetricInfo, name: str, game: int, step: int) -> str:
    series = run.series(name)
    if series is None:
        return ""
    places = np.flatnonzero(series.steps == step)
    return metric.amount(float(series.values[places[0], game])) if len(places) else ""
