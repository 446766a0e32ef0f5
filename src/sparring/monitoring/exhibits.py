"""What D looks at, saved as pictures: its gradients, their histogram, attacked samples; and what lies between latents.

Source: AS-GAN, figures 1, 5a, 9, 14 and 15.
"""

from __future__ import annotations

import io
import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sparring.attacks import width_of
from sparring.core.files import storage_errors, write_whole
from sparring.core.gradients import picture
from sparring.core.shapes import IMAGE_BOUNDS, as_bytes, expand_like, sample_norm
from sparring.gan.sampling import rendered, require_finite
from sparring.gan.state import GANState
from sparring.monitoring.discriminator_probe import ATTACK, Look, Probe
from sparring.networks import spread
from sparring.runs.folder import RunFolder

SHOWN = 8
"""Real samples a game."""
PATHS, STATIONS = 4, 8
"""Interpolations a game, and images on each, both ends included."""
BINS = 81
_TINY = 1e-30


def save_exhibits(game: GANState, probe: Probe, run: RunFolder, step: int) -> None:
    """Write probes/STEP.npz for images; nothing for other samples.

    Every array leads with the games:

    - `real`, `adversarial` `(SHOWN, channels, height, width)`, uint8, with D's outputs `d_real`, `d_adversarial`;
    - `perturbation` `(SHOWN, channels, height, width)`, int8: 127 is epsilon;
    - `gradient` `(SHOWN, height, width)`, uint8: figure 1's picture of it, where 255 is `gradient_top` `(SHOWN)`;
    - `counts` `(BINS)` of the entries of the gradients of all samples of the probe, between `edges` `(BINS + 1)`;
    - `between` `(PATHS, STATIONS, channels, height, width)`, uint8: images at equal steps between two fixed latents.

    Raises:
        NonFinite: a score or a gradient of D, or an image of G, is not finite.
        StorageError: the disk refused.
    """
    if len(probe.space.shape) != 3 or probe.space.bounds != IMAGE_BOUNDS:
        return
    lead, games = len(game.recipe.lead), math.prod(game.recipe.lead)
    every = probe.look(game, step)
    require_finite(
        f"round {step}", {"score of D": every.score, "input gradient of D": sample_norm(every.gradient, lead + 1)}
    )
    shown = Look(*(part.narrow(lead, 0, min(SHOWN, part.shape[lead])) for part in every))
    drawn = picture(shown.gradient)
    top = drawn.amax((-2, -1))
    moved = (shown.adversarial - shown.real) / (ATTACK.epsilon * width_of(probe.space))
    counted = [histogram(each) for each in every.gradient.reshape(games, -1)]
    tensors = {
        "real": as_bytes(shown.real),
        "adversarial": as_bytes(shown.adversarial),
        "perturbation": (127 * moved).round().clamp(-127, 127).to(torch.int8),
        "gradient": (255 * drawn / expand_like(top.clamp(min=_TINY), drawn)).round().to(torch.uint8),
        "gradient_top": top,
        "d_real": torch.sigmoid(shown.score),
        "d_adversarial": torch.sigmoid(shown.score_adversarial),
        "between": _between(game),
    }
    arrays = {name: values.cpu().numpy().reshape(games, *values.shape[lead:]) for name, values in tensors.items()}
    arrays |= {
        "counts": np.stack([each.counts for each in counted]),
        "edges": np.stack([each.edges for each in counted]),
    }
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)  # type: ignore[arg-type]
    with storage_errors(run.probes):
        run.probes.mkdir(exist_ok=True)
    write_whole(run.probes / f"{step:09d}.npz", out.getvalue())


class Histogram(NamedTuple):
    """How many values lie between neighbouring edges."""

    counts: npt.NDArray[np.int64]
    edges: npt.NDArray[np.float64]


def histogram(values: Tensor) -> Histogram:
    """Values in BINS equal bins around 0 that hold them all."""
    reach = float(values.abs().max()) or 1.0
    return Histogram(*np.histogram(values.double().cpu().numpy(), bins=BINS, range=(-reach, reach)))


def _between(game: GANState) -> Tensor:
    """Images at equal steps on the straight lines between pairs of fixed latents, `(*lead, PATHS, STATIONS, ...)`.

    Both ends of a path are of one class, where G is told any.
    """
    recipe, space = game.recipe, game.networks.space
    labels = spread(PATHS, space.classes)
    both = None if labels is None else labels.repeat(2)[:, None]
    ends = recipe.generator.draw((*recipe.lead, 2 * PATHS, 1), space, rng=game.streams.rng("between"), labels=both)
    first, last = ends.values.chunk(2, dim=-3)
    share = torch.linspace(0, 1, STATIONS, device=first.device)[:, None]
    codes = (1 - share) * first + share * last
    images = rendered(recipe, game.sampler, codes.flatten(-3, -2))
    return as_bytes(images.reshape(*recipe.lead, PATHS, STATIONS, *images.shape[len(recipe.lead) + 1 :]))
