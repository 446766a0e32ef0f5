"""What D looks at, from the files that a run saved in probes/: strips of pictures with numbers below, and a histogram.

Source: AS-GAN, figures 1, 5a, 9, 14 and 15.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sparring.attacks import in_scales
from sparring.core.errors import CorruptInput
from sparring.monitoring.discriminator_probe import ATTACK
from sparring.report.charts import BLUE, GREY, Chart, Line
from sparring.report.format import number
from sparring.report.pictures import data_uri
from sparring.report.read import Run
from sparring.report.saved import LARGEST_SIDE, arrays_in

TILE = 64
"""Pixels of a picture's side, at least."""

GAP = 208
"""The grey between pictures."""

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Strip:
    """Pictures side by side, with a note below each of them or none; `wrong` are the places of those that err."""

    label: str
    image: str
    size: tuple[int, int]
    notes: tuple[str, ...] = ()
    wrong: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Exhibit:
    """Strips that belong together."""

    title: str
    strips: tuple[Strip, ...]
    caption: str


@dataclass(frozen=True)
class Saved:
    """One file of probes/, of which the first game is shown."""

    path: Path

    @property
    def step(self) -> int:
        """The round that it was saved after."""
        return int(self.path.stem)

    @cached_property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What `engine.exhibits` says of one game."""
        return {name: values[0] for name, values in arrays_in(self.path).items()}


def exhibits(run: Run) -> tuple[Exhibit, ...]:
    """Gradients, adversarial samples and interpolations of a run's first game; nothing where nothing was saved."""
    saved = readable(run)
    if not saved:
        return ()
    first, last = saved[0], saved[-1]
    game = f"{run.titles[0].capitalize()}. " if run.recipe.replicas > 1 else ""
    return (
        _gradients(tuple(dict.fromkeys((first, last))), game),
        _adversaries(last, game),
        _interpolations(last, game),
    )


def shared_exhibits(runs: Sequence[Run]) -> tuple[Exhibit, ...]:
    """The newest gradients of runs on the same data, one strip a run; nothing for fewer than two."""
    numbered = [(index, run, readable(run)) for index, run in enumerate(runs, start=1)]
    found = [(index, run, saved[-1]) for index, run, saved in numbered if saved]
    alike = [entry for entry in found if entry[1].recipe.data == found[0][1].recipe.data]
    if len(alike) < 2:
        return ()
    real = strip_of("real", alike[0][2].arrays["real"])
    drawn = (_gradient(saved, f"run {index}: {run.name}") for index, run, saved in alike)
    return (Exhibit("What D's gradient shows, run by run", (real, *drawn), _GRADIENTS),)


def histogram(run: Run, key: str) -> list[Chart]:
    """The histogram of the gradients' entries at the newest saved round, over that of the first (figure 5a)."""
    saved = readable(run)
    if not saved:
        return []
    drawn = dict(zip((saved[0], saved[-1]), (GREY, BLUE), strict=True))
    lines = tuple(_counted(each, colour) for each, colour in drawn.items())
    return [
        Chart(
            f"{key}-histogram", "Entries of D's input gradients",
            "A spike at 0 with thin tails is a sparse gradient, a broad bell is noise (figure 5a of AS-GAN). "
            "Per unit of slope, so that rounds whose slopes reach unlike far compare.",
            "share of entries (per unit, log scale)", lines, is_log=True, across="d score / d value", whole=False,
        )
    ]  # fmt: skip


def readable(run: Run) -> list[Saved]:
    """The first and the newest file of probes/ that can be read; one of them if it is both."""
    files = sorted(
        (file for file in run.folder.probes.glob("*.npz") if file.stem.isdecimal()), key=lambda f: int(f.stem)
    )
    found = [next((saved for file in each if _opens(saved := Saved(file))), None) for each in (files, files[::-1])]
    return [saved for saved in dict.fromkeys(found) if saved]


def _opens(saved: Saved) -> bool:
    """Whether the file holds all that is shown, as `engine.exhibits` saves it."""
    try:
        arrays = saved.arrays
        images, bins, between = arrays["real"].shape, len(arrays["counts"]), arrays["between"].shape
        expected = {
            "real": ("u", images), "adversarial": ("u", images), "perturbation": ("i", images),
            "gradient": ("u", (images[0], *images[2:])), "gradient_top": ("f", images[:1]),
            "d_real": ("f", images[:1]), "d_adversarial": ("f", images[:1]),
            "counts": ("i", (bins,)), "edges": ("f", (bins + 1,)), "between": ("u", (*between[:2], *images[1:])),
        }  # fmt: skip
        found = {name: (arrays[name].dtype.kind, arrays[name].shape) for name in expected}
        edges = arrays["edges"]
    except (CorruptInput, OSError, KeyError, IndexError, TypeError):
        return False
    return (
        found == expected
        and len(images) == 4
        and min(*images, *between) > 0
        and max(images) <= LARGEST_SIDE
        and bool(np.isfinite(edges).all() and (np.diff(edges) > 0).all())
    )


_GRADIENTS = (
    "Below real evaluation samples the gradient of D's score at them, clipped to 3 standard deviations around its "
    "mean, mean size over channels (figure 1 of AS-GAN): black is 0, white the largest of the picture, which is the "
    "number below it, in score per unit of [−1, 1]. Where the sample's shape shows, D tells G what to draw; noise does "
    "not."
)


def _gradients(saved: Sequence[Saved], game: str) -> Exhibit:
    drawn = (_gradient(each, f"gradient, round {number(each.step)}") for each in saved)
    return Exhibit("What D's gradient shows", (strip_of("real", saved[-1].arrays["real"]), *drawn), game + _GRADIENTS)


def _gradient(saved: Saved, label: str) -> Strip:
    arrays = saved.arrays
    return strip_of(label, arrays["gradient"][:, None], tuple(number(float(top)) for top in arrays["gradient_top"]))


def _adversaries(saved: Saved, game: str) -> Exhibit:
    arrays, epsilon = saved.arrays, ATTACK.epsilon
    strips = (
        strip_of("real", arrays["real"], _outputs(arrays["d_real"])),
        strip_of("attacked", arrays["adversarial"], _outputs(arrays["d_adversarial"])),
        strip_of("difference", (arrays["perturbation"].astype(np.int16) + 128).astype(np.uint8)),
    )
    return Exhibit(
        f"Adversarial samples of D, round {number(saved.step)}", strips,
        f"{game}One FGSM step against D's score, epsilon {in_scales(epsilon)}, the same in every run; below a sample "
        "D(x), the probability of real (figures 14 and 15 of AS-GAN). A robust D hardly changes its mind. Difference, "
        f"{number(round(0.5 / epsilon))} times as large: grey is 0, white +epsilon, black −epsilon.",
    )  # fmt: skip


def _interpolations(saved: Saved, game: str) -> Exhibit:
    return Exhibit(
        f"Between latents, round {number(saved.step)}", tuple(strip_of("", path) for path in saved.arrays["between"]),
        f"{game}Each row walks in equal steps on the straight line between two fixed latents (figure 9 of AS-GAN). "
        "Smooth changes through plausible images speak against memorised samples.",
    )  # fmt: skip


def _outputs(confidences: npt.NDArray[Any]) -> tuple[str, ...]:
    return tuple(f"{float(value):.3f}" for value in confidences)


def strip_of(label: str, images: Bytes, notes: tuple[str, ...] = (), wrong: frozenset[int] = frozenset()) -> Strip:
    """Images `(n, channels, height, width)` side by side; other than three channels are averaged to grey."""
    pixels = images if images.shape[1] == 3 else images.mean(1, keepdims=True).round().astype(np.uint8)
    scale = max(1, -(-TILE // pixels.shape[2]))
    pixels = pixels.repeat(scale, axis=2).repeat(scale, axis=3)
    pixels = np.pad(pixels, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=GAP)
    row = np.concatenate(list(pixels), axis=2).transpose(1, 2, 0)
    image = Image.fromarray(row if row.shape[2] == 3 else row[..., 0])
    return Strip(label, data_uri(image), image.size, notes, wrong)


def _counted(saved: Saved, colour: str) -> Line:
    counts, edges = saved.arrays["counts"], saved.arrays["edges"]
    middles, density = (edges[1:] + edges[:-1]) / 2, counts / (max(counts.sum(), 1) * np.diff(edges))
    return Line(f"round {number(saved.step)}", middles, density[:, None], colour)
