"""What a run saved of its D and G while it trained: gradients, attacked samples and interpolations.

Everything is of the newest file of probes/ (`monitoring.pictures.save_probe`).

Source: AS-GAN, figures 1, 5a, 9, 14 and 15.
"""

from __future__ import annotations

import base64
import io
import math
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from pydantic import Field

from sparring.claims.measures.attacked_discriminator import attack_real
from sparring.claims.measures.base import Measure
from sparring.claims.values import Pictures, PlayedGame, SampledCurve, Value
from sparring.core.errors import UsageError
from sparring.core.pieces import piece
from sparring.core.records import Count, Positive
from sparring.core.shapes import as_bytes
from sparring.gan.load import load_gan
from sparring.gan.sampling import draw
from sparring.report.read import Arrays, load_arrays

_MOST_VALUES = 24_576
"""Channels times pixels of a picture of samples: 8 images of CIFAR-10."""
Seeds = Annotated[tuple[int, ...], Field(strict=False)]


@piece("gradient_histogram")
class GradientHistogram(Measure):
    """The shares of the entries of D's input gradients in equal bins around zero: figure 5a.

    The saved histogram of every game has a range of its own; it is read as a distribution that is even within its bins.
    Entries beyond the range are in no bin.

    Args:
        reach: the bins go from -reach to reach, in score per unit of the data's own range.
        bins: how many.
    """

    reach: Positive
    bins: Count = 41

    def of(self, game: PlayedGame) -> Value:
        arrays = newest_probe(game, ("counts", "edges"))
        below = np.concatenate([[0.0], np.cumsum(arrays["counts"], dtype=float)])
        edges = np.linspace(-self.reach, self.reach, self.bins + 1)
        shares = np.diff(np.interp(edges, arrays["edges"].astype(float), below / below[-1]))
        return SampledCurve(x=_rounded((edges[1:] + edges[:-1]) / 2), y=_rounded(shares))


@piece("largest_step")
class LargestStep(Measure):
    """The largest step between neighbours on an interpolation, as a share of the length of the path; mean over paths.

    1 / (images - 1) if all steps are equal, 1 if the path is a jump from one image to another.
    """

    def of(self, game: PlayedGame) -> Value:
        return float(np.mean([largest_share(path) for path in newest_probe(game, ("between",))["between"]]))


def largest_share(path: npt.NDArray[Any]) -> float:
    """The largest of the Euclidean steps along `(images, ...)`, divided by their sum; 1 where nothing moves."""
    steps = np.linalg.norm(np.diff(path.reshape(len(path), -1).astype(float), axis=0), axis=1)
    return float(steps.max() / steps.sum()) if steps.sum() > 0 else 1.0


@piece("probe_pictures")
class ProbePictures(Measure):
    """Pictures of one kind from the probes of a game.

    Args:
        show: `gradient` of D at real samples, the `real` samples, or the images `between` two latents.
        seeds: of the games that are shown.
    """

    show: Literal["gradient", "real", "between"]
    seeds: Seeds

    def of(self, game: PlayedGame) -> Value:
        if game.seed not in self.seeds:
            return None
        images = newest_probe(game, (self.show,))[self.show]
        if self.show == "between":
            return Pictures(png={"between": grid_png(images)})
        single = images.reshape(len(images), 1, 1, -1, *images.shape[-2:])
        return Pictures(png={str(number): grid_png(each) for number, each in enumerate(single, 1)})


@piece("attacked_pictures")
class AttackedPictures(Measure):
    """Real samples and, below each, its attacked version; named by D's confidences in both, in percent.

    Args:
        grey_levels: the budget of FGSM, in grey levels of the data.
        samples: how many.
        seeds: of the games that are shown.
    """

    grey_levels: float = 1.0
    samples: Count = 8
    seeds: Seeds

    def of(self, game: PlayedGame) -> Value:
        if game.seed not in self.seeds:
            return None
        found = attack_real(game, self.grey_levels, self.samples)
        pairs = as_bytes(torch.stack([found.real, found.attacked], dim=1)).numpy()[:, :, None]
        confidences = zip(found.d_real.tolist(), found.d_attacked.tolist(), strict=True)
        names = [
            f"{n}: {100 * real:.0f} %, {100 * attacked:.0f} %" for n, (real, attacked) in enumerate(confidences, 1)
        ]
        return Pictures(png={name: grid_png(pair) for name, pair in zip(names, pairs, strict=True)})


@piece("sample_pictures")
class SamplePictures(Measure):
    """Samples of the trained G from fixed latents, in rows of eight.

    Args:
        samples: how many at most; fewer of large images.
        seeds: of the games that are shown.
    """

    samples: Count = 48
    seeds: Seeds

    def of(self, game: PlayedGame) -> Value:
        if game.seed not in self.seeds:
            return None
        loaded = load_gan(game.trained.folder, "cpu").game(game.index)
        shape = loaded.networks.space.shape
        count = 8 * max(1, min(self.samples, _MOST_VALUES // math.prod(shape)) // 8)
        images = as_bytes(draw(loaded, count, "claims/pictures", 0).samples).numpy()
        return Pictures(png={"samples": grid_png(images.reshape(-1, 8, *shape))})


def newest_probe(game: PlayedGame, names: tuple[str, ...]) -> Arrays:
    """Arrays of one game from the newest file of probes/.

    Raises:
        UsageError: the run saved none.
    """
    files = sorted(game.trained.folder.probes.glob("*.npz"))
    arrays = load_arrays(files[-1], names) if files else None
    if arrays is None:
        raise UsageError(f"{game.trained.name}: has no probes", "train images with sample_every above 0")
    return {name: values[game.index] for name, values in arrays.items()}


def grid_png(rows: npt.NDArray[np.uint8]) -> str:
    """Images `(rows, columns, channels, height, width)` as one PNG in base64, a white pixel between neighbours."""
    padded = np.pad(rows, ((0, 0), (0, 0), (0, 0), (0, 1), (0, 1)), constant_values=255)
    down, across, channels, height, width = padded.shape
    grid = padded.transpose(0, 3, 1, 4, 2).reshape(down * height, across * width, channels)
    out = io.BytesIO()
    Image.fromarray(grid if channels == 3 else grid[..., 0]).save(out, format="PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def _rounded(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(f"{value:.4g}") for value in values)
