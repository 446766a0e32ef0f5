"""`sparring export`: a network of a run in a folder that is used without the run, compared with the run's own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparring.core.errors import SparringError, UsageError
from sparring.core.files import remove_whole, storage_errors, whole_folder
from sparring.export.card import write_card
from sparring.export.export_config import ExportConfig, Form, What, is_export
from sparring.export.formats import Function, require_packages, write_network
from sparring.export.from_run import chosen_network
from sparring.export.portable import PortableNetwork, as_tuple
from sparring.export.pretrained import assembled, trust_code
from sparring.runs.folder import RunFolder

_COMPARED = (1, 2, 5)
"""Batch sizes at which the outputs are compared."""
_ROUNDING = 1e-4
"""Of outputs, relative to the largest one or to 1."""


@dataclass(frozen=True)
class ExportedNetwork:
    """What an export wrote.

    Args:
        folder: of the files.
        files: their names.
        config: what is in it.
        difference: the largest one of its outputs from those of the run's network, relative to the largest output or 1.
        problems: checkpoints that could not be read.
    """

    folder: Path
    files: tuple[str, ...]
    config: ExportConfig
    difference: float
    problems: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        said = {"folder": str(self.folder), "files": list(self.files), "difference": self.difference}
        return said | {"problems": list(self.problems), "config": self.config.as_json()}


def export_run(
    run: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    form: Form = "hub",
    what: What | None = None,
    game: int = 0,
) -> ExportedNetwork:
    """Write a network of a run's newest checkpoint, a config.json and a model card into a folder.

    Args:
        run: the run folder, which is not changed unless it is where the export goes.
        out: the folder to create; by default RUN/exports/WHAT-FORM, or WHAT-FORM-GAME of a packed game, where an
            earlier export is replaced.
        form: `hub`, `pt2` or `onnx`.
        what: `generator`, `discriminator` or `classifier`; by default G, or the classifier of a run that trains one.
        game: index of a packed game.

    Raises:
        UsageError: the run has no such network, or the folder is not free.
        CorruptInput: no checkpoint is intact.
        StorageError: the disk refused; nothing is left behind.
        SparringError: what was written does not compute what the run's network computes.
    """
    require_packages(form)
    folder = RunFolder.open(Path(run))
    if out:
        _require_free(Path(out))
    chosen = chosen_network(folder, what, game)
    config = chosen.config.model_copy(update={"form": form})
    which = f"-{game}" if folder.recipe().replicas > 1 else ""
    out = Path(out) if out else folder.path / "exports" / f"{config.what}-{form}{which}"
    network = assembled(config, chosen.weights, str(run))
    trust_code(config)
    with storage_errors(out), whole_folder(out) as written:
        read, config = write_network(network, config, written)
        difference = largest_difference(read, network, chosen.original)
        write_card(written, config, network, folder, chosen.recipe, game)
        files = tuple(sorted(each.name for each in written.iterdir()))
        if is_export(out):
            remove_whole(out)
    return ExportedNetwork(out, files, config, difference, chosen.problems)


def _require_free(out: Path) -> None:
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError(f"{out}: already there", "choose another --out, or remove it")


@torch.no_grad()
def largest_difference(read: Function, network: PortableNetwork, original: nn.Module) -> float:
    """The largest difference of outputs, relative to the largest output or to 1, over batches of several sizes.

    Args:
        read: the exported network, from its files.
        network: the same in memory; the run's network is put in its place to compute its own outputs.
        original: the run's network.

    Raises:
        SparringError: it is more than rounding.
    """
    largest = 0.0
    exported, network.network = network.network, original
    try:
        for count in _COMPARED:
            inputs = network.example(count)
            pairs = zip(read(*inputs), as_tuple(network(*inputs)), strict=True)
            largest = max([largest, *(_apart(ours, theirs) for ours, theirs in pairs)])
    finally:
        network.network = exported
    return largest


def _apart(ours: Tensor, theirs: Tensor) -> float:
    apart = float((ours - theirs).abs().max()) / max(1.0, float(theirs.abs().max()))
    if not apart <= _ROUNDING:
        raise SparringError(f"the exported network differs from the run's by {apart:g}", "report it with the recipe")
    return apart
