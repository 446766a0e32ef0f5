"""Pictures of a run: fixed latents through the generator, as a PNG grid of images or as points over D's landscape."""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sparring.core.files import write_whole
from sparring.core.modules import evaluating
from sparring.core.shapes import IMAGE_BOUNDS, as_bytes
from sparring.gan.state import GANState
from sparring.networks import spread
from sparring.runs.folder import RunFolder

IMAGES = 64
POINTS = 512
LANDSCAPE = 64
"""Grid points along each axis of D's landscape."""


def save_samples(game: GANState, run: RunFolder, step: int) -> None:
    """Write samples/STEP.png for images, in order of their classes, samples/STEP.npz for points of the plane.

    The npz holds `points (games, POINTS, 2)`, `landscape (games, LANDSCAPE, LANDSCAPE)` with D's probability of "real"
    at [y, x], and `extent`, the half side of the square that it covers.

    Raises:
        NonFinite: a sample is not finite.
        StorageError: the disk refused.
    """
    space = game.source.facts.space
    if len(space.shape) == 3 and space.bounds == IMAGE_BOUNDS:
        count = max(1, IMAGES // _games(game))
        images = game.draw(count, "gallery", 0, spread(count, space.classes)).samples
        write_whole(run.samples / f"{step:09d}.png", png_grid(images.flatten(0, len(game.recipe.lead))))
    elif space.shape == (2,):
        write_whole(run.samples / f"{step:09d}.npz", _points(game))


def png_grid(images: Tensor) -> bytes:
    """Images `(n, channels, height, width)` in [-1, 1] as one PNG, rounded half up, in a grid as square as can be."""
    count, channels, height, _width = images.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    scale = max(1, 64 // height)
    pixels = as_bytes(images).cpu().numpy()
    pixels = pixels.repeat(scale, axis=2).repeat(scale, axis=3)
    pixels = np.pad(pixels, ((0, rows * columns - count), (0, 0), (1, 1), (1, 1)), constant_values=255)
    tall, wide = pixels.shape[2:]
    grid = pixels.reshape(rows, columns, channels, tall, wide).transpose(0, 3, 1, 4, 2)
    grid = grid.reshape(rows * tall, columns * wide, channels)
    image = Image.fromarray(grid[..., 0] if channels == 1 else grid)
    out = io.BytesIO()
    image.save(out, format="PNG")
    return out.getvalue()


def png_points(points: Tensor, side: int = 480) -> bytes:
    """Points `(n, 2)` as one square PNG, black on white, centred on the origin."""
    extent = 1.1 * float(points.abs().max().clamp(min=1e-6))
    pixel = ((points.cpu() / extent + 1) / 2 * (side - 3)).long() + 1
    canvas = np.full((side, side), 255, np.uint8)
    for dy, dx in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)):
        canvas[side - 1 - pixel[:, 1] + dy, pixel[:, 0] + dx] = 0
    out = io.BytesIO()
    Image.fromarray(canvas).save(out, format="PNG")
    return out.getvalue()


def _games(game: GANState) -> int:
    return math.prod(game.recipe.lead)


@torch.no_grad()
def _points(game: GANState) -> bytes:
    facts = game.source.facts
    extent = 3.0 if facts.centres is None else float(facts.centres.abs().max()) + max(6 * facts.std, 0.5)
    points = game.draw(POINTS, "gallery", 0).samples.reshape(_games(game), POINTS, 2)
    axis = torch.linspace(-extent, extent, LANDSCAPE, device=game.device)
    grid = torch.cartesian_prod(axis, axis).flip(1)
    with evaluating(game.discriminator):
        score = game.score(grid.expand(*game.recipe.lead, *grid.shape))
    landscape = torch.sigmoid(score).reshape(_games(game), LANDSCAPE, LANDSCAPE)
    out = io.BytesIO()
    np.savez_compressed(
        out,
        points=points.cpu().numpy().astype(np.float32),
        landscape=landscape.cpu().numpy().astype(np.float16),
        extent=np.float32(extent),
    )
    return out.getvalue()
