"""The state of a training: new, or as a run saved it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sparring.classifier.state import ClassifierState
from sparring.core.distributed import SINGLE, ProcessGroup
from sparring.core.errors import CorruptInput, UsageError
from sparring.gan.load import same_data
from sparring.gan.state import GANState
from sparring.recipes import AnyRecipe, Recipe
from sparring.runs.environment import choose_device
from sparring.runs.folder import RunFolder
from sparring.runs.resume_command import resume_command


@dataclass(frozen=True)
class LoadedTraining:
    """The state of a run after `step` rounds.

    Args:
        state: of the GAN or the classifier.
        step: complete rounds.
        seconds: time that they took.
        log_bytes: length of the log after them.
        threads: CPU threads of the run so far; None before the first checkpoint.
        problems: of newer checkpoints.
        lost: rounds from this checkpoint to the newest one.
    """

    state: GANState | ClassifierState
    step: int
    seconds: float
    log_bytes: int
    threads: int | None
    problems: tuple[str, ...]
    lost: int

    def remarks(self) -> list[str]:
        """A warning if newer checkpoints could not be used."""
        rounds = "1 round is" if self.lost == 1 else f"{self.lost:,} rounds are"
        warning = f"{'; '.join(self.problems)}; falling back to round {self.step}: {rounds} run again"
        return [warning] if self.problems else []


def new_state(recipe: AnyRecipe, device: torch.device, group: ProcessGroup = SINGLE) -> GANState | ClassifierState:
    """The state before the first round.

    Args:
        recipe: of the training.
        device: of the training.
        group: the processes that train a GAN together.

    Raises:
        UsageError, CorruptInput: the recipe, the data, or a run that it starts from cannot be used.
    """
    source = recipe.data.open(device)
    if isinstance(recipe, Recipe):
        return GANState(recipe, source, device, group)
    if group.part.of > 1:
        raise UsageError("a classifier is trained by one process", "start it without torchrun")
    return ClassifierState.build(recipe, source, device)


def load_training(run: RunFolder, device: str, group: ProcessGroup = SINGLE) -> LoadedTraining:
    """The state of a run at its newest intact checkpoint; a new state before the first checkpoint.

    Args:
        run: the run.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        group: the processes that train together.

    Raises:
        UsageError: the data are not where the recipe says, or the run was trained by another number of processes.
        CorruptInput: there are checkpoints, and none is intact; or the data have changed.
        StorageError: a checkpoint cannot be read.
    """
    recipe, place = run.recipe(), choose_device(device)
    checkpoint, problems = run.latest()
    if checkpoint is None:
        return LoadedTraining(new_state(recipe, place, group), 0, 0.0, 0, None, (), 0)
    progress = checkpoint.progress
    _require_as_many(run, progress.processes, group.part.of)
    source = same_data(run.path, recipe, progress.space, place)
    state: GANState | ClassifierState
    if isinstance(recipe, Recipe):
        state = GANState(recipe, source, place, group)
    else:
        state = ClassifierState(recipe, source, place)
    with checkpoint.named_in_errors():
        if progress.step > recipe.steps:
            raise CorruptInput(f"of round {progress.step:,} of {recipe.steps:,}", "restore the folder")
        state.load_state(checkpoint.tensors)
    if isinstance(state, GANState):
        state.diverged.round = progress.step  # a measurement may come before the next round
    return LoadedTraining(
        state,
        progress.step,
        progress.seconds,
        progress.log_bytes,
        progress.threads,
        problems=tuple(problems),
        lost=int(run.saved()[-1].name) - progress.step,
    )


def _require_as_many(run: RunFolder, processes: int, present: int) -> None:
    """Gradients summed by another number of processes would round differently."""
    if processes != present:
        cause = f"{run.path}: trained by {processes} processes, not {present}"
        raise UsageError(cause, resume_command(run.path, processes))
