"""The target of an exported classifier: on the data of its run the figures are those of the run."""

from __future__ import annotations

from pathlib import Path

import torch

from sparring.attacks import Attack
from sparring.core.errors import UsageError
from sparring.core.process import SILENT, Progress
from sparring.data import Data, Source, are_classes_of
from sparring.export.export_config import ExportConfig
from sparring.export.pretrained import from_pretrained, read_config, require_code
from sparring.robustness.attacked_samples import evaluation_samples, labels_of, named_data
from sparring.robustness.targets import Target


def exported_target(
    folder: Path, data: str | None, samples: int, seed: int, device: torch.device, progress: Progress = SILENT
) -> tuple[Target, int]:
    """An exported classifier with samples to attack, and the round that its weights are of.

    Args:
        folder: of the export.
        data: a source by name, a store or a folder of images; None for the data of the run.
        samples: at most, and as many training samples.
        seed: of the choice of samples.
        device: where to attack.
        progress: says how images on disk are prepared.

    Raises:
        UsageError: the export is no classifier, or the data have another shape, range or other classes.
        CorruptInput: the export or the data are damaged.
    """
    config = read_config(folder)
    if config.what != "classifier":
        raise UsageError(f"{folder}: a {config.what}, not a classifier", "export with --what classifier")
    network = from_pretrained(folder, device=device).network
    require_code(folder, config.of_evaluation)
    if data is not None:
        source, scaling = named_data(data, device, progress)
    else:
        source, scaling = Data.model_validate(config.data).open(device), ""
        source = source.split(config.validation_samples)[0] if config.validation_samples else source
    _require_data_of(config, source, folder)
    held_out, training = evaluation_samples(source, samples, seed, device)
    # A folder without a test split may be a test set of the user's own.
    is_given = data is not None and source.facts.evaluated_on != "held-out"
    target = Target(
        name="classifier",
        network=network,
        space=config.space,
        samples=held_out.samples,
        labels=labels_of(held_out),
        classes=config.classes,
        evaluated_on="given" if is_given else source.facts.evaluated_on,
        training=None if is_given else training,
        trained_against=None if config.trained_against is None else Attack.model_validate(config.trained_against),
        scaling=scaling,
    )
    return target, config.step


def _require_data_of(config: ExportConfig, source: Source, folder: Path) -> None:
    if source.facts.space != config.space:
        cause = f"{folder}: was trained on samples of {config.space}, and the data have {source.facts.space}"
        raise UsageError(cause, "prepare them in that size: sparring data prepare FOLDER --size N --test-fraction 0")
    if not are_classes_of(source.facts.classes, config.classes):
        here, there = ", ".join(source.facts.classes), ", ".join(config.classes)
        raise UsageError(
            f"{folder}: its classes are {there}, and those of the data {here}",
            "name them alike and in one order, or number them",
        )
