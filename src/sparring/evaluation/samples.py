"""Samples of a trained generator as a picture or an array file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from sparring.core.errors import UsageError
from sparring.core.files import write_whole
from sparring.data import Batch
from sparring.gan.load import load_gan
from sparring.gan.sampling import class_number, draw
from sparring.monitoring.pictures import npz_bytes, png_grid, png_points
from sparring.networks import spread
from sparring.runs.folder import RunFolder


def write_samples(
    path: Path, out: Path, *, count: int, seed: int, label: str | None = None, device: str = "auto"
) -> dict[str, Any]:
    """Draw samples from a run's newest checkpoint into a file; the data are not needed.

    Args:
        path: the run folder.
        out: a .png (a grid of images, or a scatter of points), or an .npz with `samples (*games, count, ...)`, and
            `labels` if G is conditional.
        count: samples per game.
        seed: number of the latents' stream.
        label: of a conditional G, the class of all samples, by number or name; by default all classes are equally
            frequent and in order. Only a name needs the data.
        device: where to sample.

    Returns:
        {"out", "samples", "step", "problems"}.

    Raises:
        UsageError: another ending, a missing folder, no checkpoint, no such class, or samples that cannot be drawn
            as a picture.
        NonFinite: a sample is not finite.
        StorageError: the disk refused.
    """
    write = {".png": _picture, ".npz": _arrays}.get(out.suffix)
    if write is None:
        raise UsageError(f"{out}: should end in .png or .npz", "choose one of the two")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"{out}: there is no folder {out.parent}", "make it, or choose another --out")
    loaded = load_gan(RunFolder.open(path), device)
    lead = len(loaded.recipe.lead)
    if label is None:
        labels = spread(count, loaded.networks.space.classes)
    else:
        labels = torch.full((count,), class_number(loaded, label))
    batch = draw(loaded, count, "sample", seed, labels=labels)
    write_whole(out, write(batch, lead))
    drawn = batch.samples.shape[: lead + 1].numel()
    return {"out": str(out), "samples": drawn, "step": loaded.step, "problems": list(loaded.problems)}


def _picture(batch: Batch, lead: int) -> bytes:
    samples = batch.samples
    if samples.dim() - lead - 1 == 3:
        return png_grid(samples.flatten(0, lead))
    if samples.shape[-1] == 2:
        return png_points(samples.flatten(0, lead))
    raise UsageError(f"samples of shape {tuple(samples.shape[lead + 1 :])} have no picture", "write an .npz instead")


def _arrays(batch: Batch, _lead: int) -> bytes:
    return npz_bytes({name: each.cpu().numpy() for name, each in batch._asdict().items() if each is not None})
