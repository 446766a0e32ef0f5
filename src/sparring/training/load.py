"""A recipe's training, before its first round or as a run saved it."""

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
from sparring.runs.tensors import of_file


@dataclass(frozen=True)
class Loaded:
    """A game, or a classifier in training, as it was after `step` rounds.

    Args:
        step: rounds played.
        seconds: time spent on them.
        log_bytes: the length of the log then.
        threads: CPU threads that played them, or None before the first checkpoint.
        problems: what was wrong with newer checkpoints.
        lost: rounds that the newest of them was ahead.
    """

    game: GANState | ClassifierState
    step: int
    seconds: float
    log_bytes: int
    threads: int | None
    problems: tuple[str, ...]
    lost: int

    def remarks(self) -> list[str]:
        """What a user should know of how the run was found."""
        rounds = "1 round is" if self.lost == 1 else f"{self.lost:,} rounds are"
        told = f"{'; '.join(self.problems)}; falling back to round {self.step}: {rounds} played again"
        return [told] if self.problems else []


def begun(recipe: AnyRecipe, device: torch.device, group: ProcessGroup = SINGLE) -> GANState | ClassifierState:
    """What a recipe trains, before its first round.

    Args:
        recipe: what is trained.
        device: where.
        group: the processes that play a game.

    Raises:
        UsageError, CorruptInput: the recipe, the data, or a run that it starts from cannot be used.
    """
    source = recipe.data.open(device)
    if isinstance(recipe, Recipe):
        return GANState(recipe, source, device, group)
    _require_alone(group)
    return ClassifierState.build(recipe, source, device)


def load_game(run: RunFolder, device: str, group: ProcessGroup = SINGLE) -> Loaded:
    """What a run trains at its newest sound checkpoint, or fresh before the first, to train on.

    Args:
        run: which.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        group: the processes that play it.

    Raises:
        UsageError: its data are not where the recipe says, or another number of processes played it.
        CorruptInput: there are checkpoints, and none is sound; or the data are others.
        StorageError: one cannot be read.
    """
    recipe, place = run.recipe(), choose_device(device)
    checkpoint, problems = run.latest()
    if checkpoint is None:
        return Loaded(begun(recipe, place, group), 0, 0.0, 0, None, (), 0)
    progress = checkpoint.progress
    _require_as_many(run, progress.processes, group.part.of)
    source = same_data(run.path, recipe, progress.space, place)
    game = (
        GANState(recipe, source, place, group) if isinstance(recipe, Recipe) else ClassifierState(recipe, source, place)
    )
    with of_file(checkpoint.file):
        if progress.step > recipe.steps:
            raise CorruptInput(f"of round {progress.step:,} of {recipe.steps:,}", "restore the folder")
        game.load_state(checkpoint.tensors)
    lost = int(run.saved()[-1].name) - progress.step
    return Loaded(game, progress.step, progress.seconds, progress.log_bytes, progress.threads, tuple(problems), lost)


def _require_alone(group: ProcessGroup) -> None:
    if group.part.of > 1:
        raise UsageError("a classifier is trained by one process", "start it without torchrun")


def _require_as_many(run: RunFolder, played: int, there: int) -> None:
    """Another number of processes sums gradients in another order, so the run would not be what it says."""
    if played != there:
        start = f"torchrun --nproc-per-node {played} -m sparring" if played > 1 else "sparring"
        raise UsageError(f"{run.path}: played by {played} processes, not {there}", f"`{start} resume {run.path}`")
