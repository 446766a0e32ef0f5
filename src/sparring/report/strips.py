"""Strips of pictures: what D's gradient shows, attacked samples, interpolations; and adversarial examples.

Source: AS-GAN, figures 1, 5a, 9, 14 and 15.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sparring.attacks import in_scales
from sparring.monitoring.discriminator_probe import ATTACK
from sparring.report.charts import BLUE, GREY, Chart, Curve
from sparring.report.films import data_uri
from sparring.report.format import number
from sparring.report.read import Arrays, RunRecord, load_arrays
from sparring.runs.robustness_schema import ROBUSTNESS_EXAMPLES, ExampleBlock, TargetRobustness

_TILE = 64
"""Smallest side of a picture in pixels."""
_GAP = 208
"""The grey between pictures."""
_EXAMPLES = 6
"""Adversarial examples side by side."""
_PROBED = (
    "real", "adversarial", "perturbation", "gradient", "gradient_top", "d_real", "d_adversarial",
    "counts", "edges", "between",
)  # fmt: skip
_BLOCK = ("clean", "adversarial", "perturbation", "labels", "predicted_clean", "predicted")

Images = npt.NDArray[Any]


@dataclass(frozen=True)
class Strip:
    """Pictures side by side, with a note below each or none; `wrong` are the indices of misclassified ones.

    `is_crisp` if the pictures are so small that their pixels are to be seen.
    """

    label: str
    image: str
    size: tuple[int, int]
    notes: tuple[str, ...] = ()
    wrong: frozenset[int] = frozenset()
    is_crisp: bool = False


@dataclass(frozen=True)
class StripGroup:
    """Strips under one title."""

    title: str
    strips: tuple[Strip, ...]
    caption: str


def probe_strips(run: RunRecord) -> tuple[StripGroup, ...]:
    """Gradients, attacked samples and interpolations of the first game; none if nothing was saved."""
    saved = first_and_last(run)
    if not saved:
        return ()
    last, arrays = saved[-1]
    game = _first_game(run)
    gradients = [_gradient(each, f"gradient, round {number(step)}") for step, each in saved]
    before, after = (tuple(f"{value:.3f}" for value in arrays[name]) for name in ("d_real", "d_adversarial"))
    attacked = (
        strip("real", arrays["real"], before),
        strip("attacked", arrays["adversarial"], after),
        strip("difference", _as_grey(arrays["perturbation"])),
    )
    return (
        StripGroup(f"What D's gradient shows{game}", (strip("real", arrays["real"]), *gradients), _GRADIENTS),
        StripGroup(f"Adversarial samples of D, round {number(last)}{game}", attacked, _ATTACKED),
        StripGroup(
            f"Between latents, round {number(last)}{game}",
            tuple(strip("", row) for row in arrays["between"]),
            "Each row is generated from equal steps on the line between two fixed latents (figure 9 of AS-GAN). "
            "Smooth changes through plausible images are evidence against memorised samples.",
        ),
    )


def shared_strips(runs: Sequence[RunRecord]) -> tuple[StripGroup, ...]:
    """The newest gradients of runs on the same data, one strip each; none for fewer than two."""
    newest = [(index, run, saved[-1][1]) for index, run in enumerate(runs, 1) if (saved := first_and_last(run))]
    alike = [entry for entry in newest if entry[1].recipe.data == newest[0][1].recipe.data]
    if len(alike) < 2:
        return ()
    gradients = [_gradient(arrays, f"run {index}: {run.name}{_first_game(run)}") for index, run, arrays in alike]
    return (
        StripGroup("What D's gradient shows, run by run", (strip("real", alike[0][2]["real"]), *gradients), _GRADIENTS),
    )


def histogram(run: RunRecord, key: str) -> list[Chart]:
    """The histogram of the gradients' entries at the first and the newest saved round (figure 5a of AS-GAN)."""
    curves = []
    for (step, arrays), colour in zip(reversed(first_and_last(run)), (BLUE, GREY), strict=False):
        counts, edges = arrays["counts"], arrays["edges"]
        density = counts / (max(counts.sum(), 1) * np.diff(edges))
        curves.append(Curve(f"round {number(step)}", (edges[1:] + edges[:-1]) / 2, density[:, None], colour))
    if not curves:
        return []
    return [
        Chart(
            f"{key}-histogram", f"Entries of D's input gradients{_first_game(run)}",
            "A spike at 0 with thin tails is a sparse gradient, a broad bell is noise (figure 5a of AS-GAN). It is a "
            "density, so that rounds with different ranges of slopes compare.",
            "share of entries per unit", tuple(reversed(curves)), is_log=True,
            across="d score / d value", is_whole=False,
        )
    ]  # fmt: skip


def _first_game(run: RunRecord) -> str:
    """What names the game that is shown, where a run has several."""
    return f", {run.titles[0]}" if run.recipe.replicas > 1 else ""


def first_and_last(run: RunRecord) -> list[tuple[int, Arrays]]:
    """Round and arrays of the first and the newest readable file of probes/; one entry if they are the same."""
    files = sorted(path for path in run.folder.probes.glob("*.npz") if path.stem.isdecimal())
    ends = (next(filter(None, map(_probe, order)), None) for order in (files, files[::-1]))
    return list({step: (step, arrays) for step, arrays in filter(None, ends)}.values())


def example_strips(target: TargetRobustness, arrays: Arrays) -> tuple[StripGroup, ...]:
    """The adversarial examples of a target, loaded by `load_examples`: clean, adversarial and the difference."""
    return tuple(
        _examples(target, example, {name: values[block] for name, values in arrays.items()})
        for block, example in enumerate(target.examples)
    )


def load_examples(folder: Path, index: int) -> Arrays | None:
    """The example images of the target with this index; None if they cannot be read."""
    names = [f"{index}/{name}" for name in _BLOCK]
    loaded = load_arrays(folder / ROBUSTNESS_EXAMPLES, names)
    return dict(zip(_BLOCK, loaded.values(), strict=True)) if loaded else None


def strip(label: str, images: Images, notes: tuple[str, ...] = (), wrong: frozenset[int] = frozenset()) -> Strip:
    """Images `(n, channels, height, width)` side by side; unless there are three channels they are averaged to grey."""
    pixels = images if images.shape[1] == 3 else images.mean(1, keepdims=True).round().astype(np.uint8)
    scale = max(1, -(-_TILE // pixels.shape[2]))
    pixels = pixels.repeat(scale, axis=2).repeat(scale, axis=3)
    pixels = np.pad(pixels, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=_GAP)
    row = np.concatenate(list(pixels), axis=2).transpose(1, 2, 0)
    image = Image.fromarray(row if row.shape[2] == 3 else row[..., 0])
    return Strip(label, data_uri(image), image.size, notes, wrong, is_crisp=scale > 1)


_GRADIENTS = (
    "Below real evaluation samples the gradient of D's score with respect to them, clipped to 3 standard deviations "
    "around its mean, mean size over channels (figure 1 of AS-GAN): black is 0, white the largest of the picture, "
    "given below it in score per unit of [−1, 1]. Where the shape of the sample is visible, D tells G what to draw; "
    "noise does not."
)
_ATTACKED = (
    f"One FGSM step against D's score, epsilon {in_scales(ATTACK.epsilon)}, the same in every run; below a sample "
    "D(x), the probability of real (figures 14 and 15 of AS-GAN). The output of a robust D hardly changes. Difference, "
    f"{number(round(0.5 / ATTACK.epsilon))} times as large: grey is 0, white +epsilon, black −epsilon."
)


def _probe(path: Path) -> tuple[int, Arrays] | None:
    """Round and arrays of the first game in a file of probes/; None if it cannot be read."""
    loaded = load_arrays(path, _PROBED)
    return (int(path.stem), {name: values[0] for name, values in loaded.items()}) if loaded else None


def _gradient(arrays: Arrays, label: str) -> Strip:
    return strip(label, arrays["gradient"][:, None], tuple(_short(float(top)) for top in arrays["gradient_top"]))


def _short(size: float) -> str:
    """A size in six characters, which fit below a picture on a telephone: 0.0209, 2.3e−4."""
    mantissa, _, power = f"{size:.1e}".partition("e")
    return f"{mantissa}e−{-int(power)}" if 0 < size < 0.01 else number(size)


def _as_grey(perturbation: Images) -> Images:
    """Signed levels as grey values; 0 is 128."""
    return (perturbation.astype(np.int16) + 128).astype(np.uint8)


def _examples(target: TargetRobustness, example: ExampleBlock, arrays: Arrays) -> StripGroup:
    attack = next((a for a in target.attacks if (a.name, a.epsilon) == (example.attack, example.epsilon)), None)
    return StripGroup(
        f"{example.attack}, epsilon {attack.scales if attack else number(example.epsilon)}",
        (
            _classified(target, "clean", arrays["clean"], arrays["predicted_clean"], arrays["labels"]),
            _classified(target, "adversarial", arrays["adversarial"], arrays["predicted"], arrays["labels"]),
            strip("difference, magnified", _as_grey(arrays["perturbation"][:_EXAMPLES])),
        ),
        "Below an image is its predicted class; red with ✗ is wrong. Difference: grey is 0; white and black are "
        "+epsilon and −epsilon, or under another norm than L-infinity the largest change of any pixel.",
    )


def _classified(target: TargetRobustness, label: str, images: Images, predicted: Images, labels: Images) -> Strip:
    names = dict(enumerate(target.classes))
    notes = tuple(names.get(int(each), str(each)) for each in predicted[:_EXAMPLES])
    wrong = frozenset(np.flatnonzero(predicted[:_EXAMPLES] != labels[:_EXAMPLES]).tolist())
    return strip(label, images[:_EXAMPLES], notes, wrong)
