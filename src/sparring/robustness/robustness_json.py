"""`sparring robustness`: the targets of a run or a model, attacked; writes robustness.json and robustness.npz."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sparring.core.errors import Flagged, UsageError
from sparring.core.files import storage_errors, write_whole
from sparring.core.process import SILENT, Progress
from sparring.monitoring.pictures import npz_bytes
from sparring.recipes import parse_yaml
from sparring.robustness.budgets import budgets_of
from sparring.robustness.load import RobustnessOptions, open_targets
from sparring.robustness.own_model import OwnModel
from sparring.robustness.radius import median_radius, require_gradients
from sparring.robustness.targets import Target
from sparring.robustness.threat_sets import require_threats
from sparring.robustness.trials import clear
from sparring.robustness.worst_case import AttackedTarget, robust_accuracy
from sparring.runs.robustness_schema import ROBUSTNESS, ROBUSTNESS_EXAMPLES, Robustness

_ON = {"class head": "class", "source head": "source", "both": "both"}
_TRIALS = "trials"
_FEW = 16
"""Samples of another run, which are not used."""


def run_or_model(
    text: str, *, weights: str = "", input_range: str = "", mean: str = "", std: str = ""
) -> Path | OwnModel:
    """A run folder, or a model of the user's own.

    Args:
        text: a folder, `module:factory`, or an ONNX file.
        weights: of a model, a file.
        input_range: `low,high` of a model's input pixels.
        mean, std: one number, or one for every channel separated by commas, in brackets or not.

    Raises:
        UsageError: there is no such folder, or settings of a model are given for a run.
        InvalidRecord: a setting of a model is invalid.
    """
    scale = {"input_range": input_range, "mean": mean, "std": std}
    settings: dict[str, Any] = {
        key: parse_yaml(f"[{value.strip('[]() ')}]", value) for key, value in scale.items() if value
    }
    settings |= {"weights": weights} if weights else {}
    if text.endswith(".onnx") or (":" in text and not Path(text).exists()):
        remedy = "name it as module:factory, or as a file model.onnx; its range as low,high"
        return OwnModel.validated({"model": text} | settings, text, remedy)
    if Path(text).is_file():
        raise UsageError(f"{text}: a file, not a run", f"name its network too: module:factory --weights {text}")
    if not Path(text).exists():
        raise UsageError(f"{text}: no such run", "name a run folder, or a model as module:factory")
    if settings:
        raise UsageError(f"{text}: a run has its own weights and inputs", "give them with module:factory alone")
    return Path(text)


def evaluate_robustness(
    what: Path | OwnModel,
    options: RobustnessOptions = RobustnessOptions(),  # noqa: B008
    *,
    out: Path | None = None,
    device: str = "auto",
    progress: Progress = SILENT,
) -> Robustness:
    """Attack the targets of a run or a model, and write the result. An evaluation that was killed goes on.

    Args:
        what: a run folder, or a model of the user's own.
        options: what is attacked, and how.
        out: the folder of robustness.json and robustness.npz; the run's own by default.
        device: where to attack.
        progress: counts batches of every threat.

    Raises:
        UsageError: an option does not fit the run or the model.
        CorruptInput: a checkpoint or a file of weights is damaged.
        StorageError: the disk refused.
    """
    folder = _folder(what, out)
    require_threats(options.threats)
    others = {text: run_or_model(text) for text in options.transfer_from}
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    opened = open_targets(what, options, device, progress)
    model = what.described(options.data) if isinstance(what, OwnModel) else None
    targets = [replace(target, draws=options.draws) for target in opened.targets]
    if options.radius:
        for target in targets:
            require_gradients(target)
    sources = [
        [_transfer_source(text, other, target, options.seed, device) for text, other in others.items()]
        for target in targets
    ]
    attacked = [
        robust_accuracy(
            target,
            epsilons=options.sizes,
            threats=options.threats,
            transfer_from=transfer_from,
            seed=options.seed,
            folder=folder / _TRIALS,
            progress=progress,
        )
        for target, transfer_from in zip(targets, sources, strict=True)
    ]
    if options.radius:
        pairs = zip(attacked, targets, strict=True)
        attacked = [_with_radius(each, target, options.seed) for each, target in pairs]
    result = Robustness(
        step=opened.step,
        seed=options.seed,
        targets=tuple(each.robustness for each in attacked),
        game=options.game,
        problems=opened.problems,
        model=model,
    )
    # The numbers are removed first and written last, so that they never lie beside images of another evaluation.
    with storage_errors(folder / ROBUSTNESS):
        (folder / ROBUSTNESS).unlink(missing_ok=True)
    images = {
        f"{index}/{name}": each.numpy() for index, part in enumerate(attacked) for name, each in part.images.items()
    }
    write_whole(folder / ROBUSTNESS_EXAMPLES, npz_bytes(images))
    result.write(folder / ROBUSTNESS)
    clear(folder / _TRIALS)
    return result


def require_unflagged(result: Robustness) -> None:
    """Raise if a sanity check failed.

    Raises:
        Flagged: with the number of flags and the first.
    """
    flags = [f"{target.name}: {flag}" for target in result.targets for flag in target.flags]
    if flags:
        raise Flagged(
            f"{len(flags)} flag{'s' if len(flags) > 1 else ''}, first {flags[0]}",
            f"do not quote these accuracies; {ROBUSTNESS} has all sanity checks",
        )


def _with_radius(attacked: AttackedTarget, target: Target, seed: int) -> AttackedTarget:
    """The same with the median radius, in the norm of the main attack."""
    radius = median_radius(target, budgets_of(target).ball, seed=seed)
    return attacked._replace(robustness=attacked.robustness.model_copy(update={"radius": radius}))


def _folder(what: Path | OwnModel, out: Path | None) -> Path:
    if out is not None and (out / "recipe.yaml").is_file() and out != what:
        raise UsageError(f"{out}: a run folder, which keeps its own evaluation", "choose another --out")
    folder = out or (what if isinstance(what, Path) else None)
    if folder is None:
        raise UsageError("robustness: a model has no run folder to write to", "name a folder: --out FOLDER")
    return folder


def _transfer_source(text: str, other: Path | OwnModel, target: Target, seed: int, device: str) -> Target:
    """Another network of the target's task; its samples are not used."""
    if isinstance(other, OwnModel):
        return other.beside(target)
    options = RobustnessOptions(on=(_ON.get(target.name, "class"),), samples=_FEW, seed=seed)
    return replace(open_targets(other, options, device).targets[0], name=text)
