"""Pictures of a run: samples of fixed latents, what D's gradients look like, and what lies between two latents.

Source: AS-GAN, figures 1, 5a, 9, 14 and 15.
"""

from __future__ import annotations

import io
import math

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from sparring.core.descent import require_finite
from sparring.core.files import storage_errors, write_whole
from sparring.core.modules import evaluating
from sparring.core.shapes import IMAGE_BOUNDS, as_bytes, expand_like, sample_norm
from sparring.gan.sampling import draw, rendered
from sparring.gan.state import GANState
from sparring.metrics.input_gradients import picture
from sparring.monitoring.discriminator_probe import ATTACK, DiscriminatorProbe, Probed
from sparring.monitoring.line_picture import extent_of, line_arrays
from sparring.networks import spread
from sparring.runs.folder import RunFolder

IMAGES = 64
"""Images of a grid."""
DIFFERENT = 0.08
"""Images of this mean distance, in units of [-1, 1], are seen to differ: 10 of 255 levels."""
POINTS = 512
"""Points of the plane, a game."""
LANDSCAPE = 64
"""Grid points along each axis of D's landscape."""
SHOWN = 8
"""Real samples under attack, a game."""
PATHS, PATH_IMAGES = 4, 8
"""Interpolations a game, and images on each, both ends included."""
BINS = 81
"""Bins of the histogram of D's gradients."""
_TINY = 1e-30

Arrays = dict[str, npt.NDArray[np.generic]]


def save_samples(game: GANState, run: RunFolder, step: int) -> None:
    """Write samples/STEP.png for images, in order of their classes, samples/STEP.npz for points of the plane or a line.

    Where G has a running mean, the images are of the mean. As long as those of G itself, from the same latents, differ
    visibly, samples/STEP.live.png has them.

    The npz of a plane holds `points (games, POINTS, 2)`, `landscape (games, LANDSCAPE, LANDSCAPE)` with D's probability
    of "real" at [y, x], and `extent`, half the side of the square that the landscape covers; that of a line the arrays
    of `line_arrays`.

    Raises:
        NonFinite: a sample is not finite.
        StorageError: the disk refused.
    """
    space = game.source.facts.space
    if len(space.shape) == 3 and space.bounds == IMAGE_BOUNDS:
        count = max(1, IMAGES // math.prod(game.recipe.lead))
        labels, lead = spread(count, space.classes), len(game.recipe.lead)

        def drawn(generator: nn.Module) -> Tensor:
            return draw(game, count, "pictures", 0, labels=labels, generator=generator).samples.flatten(0, lead)

        images = drawn(game.networks.sampler)
        write_whole(run.samples / f"{step:09d}.png", png_grid(images))
        if game.recipe.ema:
            live = drawn(game.networks.generator)
            if float((live - images).abs().mean()) > DIFFERENT:
                write_whole(run.samples / f"{step:09d}.live.png", png_grid(live))
    elif space.shape == (2,):
        write_whole(run.samples / f"{step:09d}.npz", npz_bytes(_points(game)))
    elif space.shape == (1,):
        write_whole(run.samples / f"{step:09d}.npz", npz_bytes(line_arrays(game)))


def save_probe(game: GANState, probe: DiscriminatorProbe, run: RunFolder, step: int) -> None:
    """Write probes/STEP.npz for images; nothing for other samples.

    The first axis of every array counts games:

    - `real`, `adversarial` `(SHOWN, channels, height, width)`, uint8, with D's outputs `d_real`, `d_adversarial`;
    - `perturbation` `(SHOWN, channels, height, width)`, int8: 127 is epsilon;
    - `gradient` `(SHOWN, height, width)`, uint8: D's gradient as in figure 1, where 255 is `gradient_top` `(SHOWN)`;
    - `counts` `(BINS)` of the entries of the gradients of all samples of the probe, between `edges` `(BINS + 1)`;
    - `between` `(PATHS, PATH_IMAGES, channels, height, width)`, uint8: images at equal steps between two fixed latents.

    Raises:
        NonFinite: a score or a gradient of D, or an image of G, is not finite.
        StorageError: the disk refused.
    """
    if len(probe.space.shape) != 3 or probe.space.bounds != IMAGE_BOUNDS:
        return
    lead, games = len(game.recipe.lead), math.prod(game.recipe.lead)
    probed = probe.attack(game, step)
    norms = sample_norm(probed.gradient, lead + 1)
    require_finite(f"round {step}", {"score of D": probed.score, "input gradient of D": norms}, game.diverged)
    shown = Probed(*(part.narrow(lead, 0, min(SHOWN, part.shape[lead])) for part in probed))
    drawn = picture(shown.gradient)
    top = drawn.amax((-2, -1))
    moved = (shown.adversarial - shown.real) / (ATTACK.epsilon * probe.space.width)
    tensors = {
        "real": as_bytes(shown.real),
        "adversarial": as_bytes(shown.adversarial),
        "perturbation": (127 * moved).round().clamp(-127, 127).to(torch.int8),
        "gradient": (255 * drawn / expand_like(top.clamp(min=_TINY), drawn)).round().to(torch.uint8),
        "gradient_top": top,
        "d_real": torch.sigmoid(shown.score),
        "d_adversarial": torch.sigmoid(shown.score_adversarial),
        "between": _interpolations(game),
    }
    arrays: Arrays = {
        name: values.cpu().numpy().reshape(games, *values.shape[lead:]) for name, values in tensors.items()
    }
    histograms = [histogram(each) for each in probed.gradient.reshape(games, -1)]
    arrays["counts"], arrays["edges"] = (np.stack(each) for each in zip(*histograms, strict=True))
    with storage_errors(run.probes):
        run.probes.mkdir(exist_ok=True)
    write_whole(run.probes / f"{step:09d}.npz", npz_bytes(arrays))


def png_grid(images: Tensor) -> bytes:
    """Images `(n, channels, height, width)` in [-1, 1] as one PNG, in a grid that is nearly square."""
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
    return _png(grid[..., 0] if channels == 1 else grid)


def png_points(points: Tensor, side: int = 480) -> bytes:
    """Points `(n, 2)` as one square PNG, black on white, centred on the origin; without those that are not finite."""
    points = points[points.isfinite().all(-1)]
    extent = 1.1 * float(points.abs().max().clamp(min=1e-6)) if len(points) else 1.0
    pixel = ((points.cpu() / extent + 1) / 2 * (side - 3)).long() + 1
    canvas = np.full((side, side), 255, np.uint8)
    for dy, dx in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)):
        canvas[side - 1 - pixel[:, 1] + dy, pixel[:, 0] + dx] = 0
    return _png(canvas)


def histogram(values: Tensor) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Counts and edges of BINS equal bins around 0 that hold all finite values."""
    known = values[values.isfinite()]
    reach = (float(known.abs().max()) if len(known) else 0.0) or 1.0
    return np.histogram(known.double().cpu().numpy(), bins=BINS, range=(-reach, reach))


@torch.no_grad()
def _points(game: GANState) -> Arrays:
    games, extent = math.prod(game.recipe.lead), extent_of(game.source.facts)
    points = draw(game, POINTS, "pictures", 0).samples.reshape(games, POINTS, 2)
    axis = torch.linspace(-extent, extent, LANDSCAPE, device=game.device)
    grid = torch.cartesian_prod(axis, axis).flip(1)
    with evaluating(game.discriminator):
        score = game.score(grid.expand(*game.recipe.lead, *grid.shape))
    landscape = torch.sigmoid(score).reshape(games, LANDSCAPE, LANDSCAPE)
    return {
        "points": points.cpu().numpy().astype(np.float32),
        "landscape": landscape.cpu().numpy().astype(np.float16),
        "extent": np.array(extent, np.float32),
    }


def _interpolations(game: GANState) -> Tensor:
    """Images at equal steps on the straight lines between pairs of fixed latents, `(*lead, PATHS, PATH_IMAGES, ...)`.

    Both ends of a path have the same class.
    """
    recipe, space = game.recipe, game.networks.space
    labels = spread(PATHS, space.classes)
    both = None if labels is None else labels.repeat(2)[:, None]
    ends = recipe.generator.draw((*recipe.lead, 2 * PATHS, 1), space, rng=game.streams.rng("between"), labels=both)
    first, last = ends.values.chunk(2, dim=-3)
    share = torch.linspace(0, 1, PATH_IMAGES, device=first.device)[:, None]
    codes = (1 - share) * first + share * last
    images = rendered(recipe, game.networks.sampler, codes.flatten(-3, -2))
    return as_bytes(images.reshape(*recipe.lead, PATHS, PATH_IMAGES, *images.shape[len(recipe.lead) + 1 :]))


def npz_bytes(arrays: Arrays) -> bytes:
    """Arrays by name as a compressed npz file."""
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG")
    return out.getvalue()
