"""`sparring robustness`: a run, or a model of the user's own, to robustness.json and robustness.npz."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field, ValidationError
from torch import Tensor

from sparring.attacks import Epsilon
from sparring.core.errors import Flagged, UsageError
from sparring.core.files import folder_for, storage_errors, write_whole
from sparring.core.pieces import members
from sparring.core.progress import SILENT, Progress
from sparring.core.records import Count, Every, InvalidRecord, Record, problems_in
from sparring.core.shapes import IMAGE_BOUNDS
from sparring.data import Data, Store
from sparring.recipes import parse_piece
from sparring.robustness.examine import examine
from sparring.robustness.own_models import Foreign, parse_foreign
from sparring.robustness.run_targets import Opened, labelled, subjects_of_run
from sparring.robustness.targets import Subject, subject_of
from sparring.runs.environment import choose_device
from sparring.runs.schema import ROBUSTNESS, ROBUSTNESS_EXAMPLES, Robustness

_HEADS = {"class head": "class", "source head": "source", "both": "both"}
Words = Annotated[tuple[str, ...], Field(strict=False)]
_FEW = 16
"""Samples that another run is opened with, whose own are not used."""


class RobustOptions(Record):
    """What is evaluated of a run or a model, and how.

    Args:
        on: heads of a discriminator: class, source, both; the class head where there is one, else the source.
        epsilons: sizes in units of [0, 1]; by default half, one and two times what was trained against.
        threats: a set, names, or a file.
        samples: how many, at most, and as many training ones.
        transfer_from: run folders (the first of packed games) and models whose adversarial samples this one is shown.
        game: which one, where the run packs several.
        data: for a model: `digits`, a store's folder, or another source as in a recipe.
        seed: of samples and attacks.
    """

    on: Words = ()
    epsilons: Annotated[tuple[Epsilon, ...], Field(strict=False)] | None = None
    threats: str = "standard"
    samples: Count = 500
    transfer_from: Words = ()
    game: Every = 0
    data: str | None = None
    seed: Every = 0


def robust_options(values: dict[str, Any]) -> RobustOptions:
    """Options from plain values.

    Raises:
        InvalidRecord: one of them is wrong.
    """
    try:
        return RobustOptions.model_validate(values)
    except ValidationError as error:
        problems = problems_in(error, RobustOptions.model_fields)
        raise InvalidRecord("robustness", problems, "see `sparring robustness --help`") from None


def evaluate_robustness(
    target: Path | Foreign,
    options: RobustOptions = RobustOptions(),  # noqa: B008
    *,
    out: Path | None = None,
    device: str = "auto",
    progress: Progress = SILENT,
) -> Robustness:
    """Attack what a run learned, or a model, and write what was found.

    Args:
        target: a run folder, or a model of the user's own.
        options: what is evaluated, and how.
        out: the folder of robustness.json and robustness.npz; the run's own by default.
        device: where.
        progress: counts threats.

    Raises:
        UsageError: what is asked for does not exist, or does not fit.
        CorruptInput: a checkpoint or a file of weights is damaged.
        StorageError: the disk refused.
    """
    folder = _folder(target, out)
    with folder_for(folder):
        found, pictures = _examined(target, options, device, progress)
        # The numbers go last and vanish first: they are never beside pictures of another evaluation.
        with storage_errors(folder / ROBUSTNESS):
            (folder / ROBUSTNESS).unlink(missing_ok=True)
        write_whole(folder / ROBUSTNESS_EXAMPLES, _as_arrays(pictures))
        found.write(folder / ROBUSTNESS)
    return found


def _examined(
    target: Path | Foreign, options: RobustOptions, device: str, progress: Progress
) -> tuple[Robustness, dict[str, Tensor]]:
    """What robustness.json and robustness.npz say."""
    opened = _open(target, options, device)
    parts = [
        examine(
            subject,
            epsilons=options.epsilons,
            threats=options.threats,
            transfer_from=[_other(text, subject, options, device) for text in options.transfer_from],
            seed=options.seed,
            progress=progress,
        )
        for subject in opened.subjects
    ]
    pictures = {f"{index}/{name}": values for index, part in enumerate(parts) for name, values in part.pictures.items()}
    found = Robustness(
        step=opened.step,
        seed=options.seed,
        targets=tuple(part.robustness for part in parts),
        problems=tuple(opened.problems),
        model=target.described(options.data) if isinstance(target, Foreign) else None,
    )
    return found, pictures


def require_unflagged(found: Robustness) -> None:
    """Refuse to end well where a number should not be believed.

    Raises:
        Flagged: says how many flags there are, and the first.
    """
    flags = [f"{target.name}: {flag}" for target in found.targets for flag in target.flags]
    if flags:
        raise Flagged(
            f"{len(flags)} flag{'s' if len(flags) > 1 else ''}, first {flags[0]}",
            "do not quote these accuracies; `robustness.json` holds the whole battery",
        )


def _folder(target: Path | Foreign, out: Path | None) -> Path:
    if out is not None and (out / "recipe.yaml").is_file() and out != target:
        raise UsageError(f"{out}: a run folder, which keeps its own evaluation", "choose another --out")
    folder = out or (target if isinstance(target, Path) else None)
    if folder is None:
        raise UsageError("robustness: a model has no run folder to write to", "name a folder: --out FOLDER")
    return folder


def _open(target: Path | Foreign, options: RobustOptions, device: str) -> Opened:
    if isinstance(target, Path):
        if options.data is not None:
            raise UsageError(f"{target}: a run has data of its own", "leave --data out")
        return subjects_of_run(
            target,
            on=options.on,
            game=options.game,
            samples=options.samples,
            seed=options.seed,
            device=device,
        )
    if options.on or options.game:
        raise UsageError(f"{target.model}: a model has one head and is one game", "leave --on and --game out")
    if options.data is None:
        raise UsageError(f"{target.model}: on which data?", "name them: --data digits, or the folder of a store")
    place = choose_device(device)
    source = _data(options.data).open(place)
    if source.facts.bounds != IMAGE_BOUNDS or not source.facts.classes:
        raise UsageError(f"data = {options.data}: not labelled images", "give labelled images, for example digits")
    _require_channels(target, source.facts.shape[0])
    held_out, training = labelled(source, options.samples, options.seed, place)
    assert held_out.labels is not None
    subject = subject_of(
        target.load(place),
        held_out.samples,
        held_out.labels,
        low=IMAGE_BOUNDS.low,
        high=IMAGE_BOUNDS.high,
        name=target.model,
        classes=source.facts.classes,
        evaluated_on=source.facts.evaluated_on,
        training=training,
    )
    return Opened((subject,), None, ())


def _require_channels(model: Foreign, channels: int) -> None:
    for key in ("mean", "std"):
        given = len(getattr(model.inputs, key))
        if given not in (1, channels):
            told = f"{model.model}: {key} has {given} numbers, and the images have {channels} channels"
            raise UsageError(told, "give one number, or one for every channel")


def _other(text: str, subject: Subject, options: RobustOptions, device: str) -> Subject:
    """Another network that answers the subject's question; its samples are never used."""
    path = Path(text)
    if ":" not in text and not path.is_dir():
        raise UsageError(f"transfer from {text}: no such run", "name a run folder, or a model as module:factory")
    if path.is_dir():
        on = (_HEADS.get(subject.name, "class"),)
        opened = subjects_of_run(path, on=on, samples=_FEW, seed=options.seed, device=device)
        return replace(opened.subjects[0], name=text)
    foreign = parse_foreign(text)
    network = foreign.load(subject.samples.device)
    made = subject_of(network, subject.samples[:_FEW], subject.labels[:_FEW], low=None, high=None)
    return replace(made, name=foreign.model, space=subject.space)


def _data(text: str) -> Data:
    if text in members(Data) or text.startswith("{"):
        return parse_piece(Data, text)
    return Store(path=text)


def _as_arrays(pictures: dict[str, Tensor]) -> bytes:
    out = io.BytesIO()
    arrays: dict[str, Any] = {name: values.numpy() for name, values in pictures.items()}
    np.savez_compressed(out, **arrays)
    return out.getvalue()
