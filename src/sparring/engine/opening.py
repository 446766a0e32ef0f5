"""A recipe's training, before its first round or as a run saved it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sparring.engine.allowance import Allowance
from sparring.engine.environment import choose_device
from sparring.engine.game import Game
from sparring.engine.loading import same_data
from sparring.engine.pupil import Pupil
from sparring.engine.rundir import RunFolder
from sparring.engine.state import of_file
from sparring.errors import CorruptInput
from sparring.recipes import AnyRecipe, Recipe


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

    game: Game | Pupil
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


def begun(recipe: AnyRecipe, device: torch.device) -> Game | Pupil:
    """What a recipe trains, before its first round.

    Raises:
        UsageError, CorruptInput: the recipe, the data, or a run that it starts from cannot be used.
    """
    source = recipe.data.open(device)
    return Game(recipe, source, device) if isinstance(recipe, Recipe) else Pupil.begun(recipe, source, device)


def load_game(run: RunFolder, device: str) -> Loaded:
    """What a run trains at its newest sound checkpoint, or fresh before the first, to train on.

    Raises:
        UsageError: its data are not where the recipe says.
        CorruptInput: there are checkpoints, and none is sound; or the data are others.
        StorageError: one cannot be read.
    """
    recipe, place = run.recipe(), choose_device(device)
    checkpoint, problems = run.latest()
    if checkpoint is None:
        return Loaded(begun(recipe, place), 0, 0.0, 0, None, (), 0)
    progress = checkpoint.progress
    source = same_data(run.path, recipe, progress.space.space(), place)
    with Allowance(checkpoint.file, checkpoint.tensors):
        game = Game(recipe, source, place) if isinstance(recipe, Recipe) else Pupil(recipe, source, place)
    with of_file(checkpoint.file):
        if progress.step > recipe.steps:
            raise CorruptInput(f"of round {progress.step:,} of {recipe.steps:,}", "restore the folder")
        game.load_state(checkpoint.tensors)
    lost = int(run.saved()[-1].name) - progress.step
    return Loaded(game, progress.step, progress.seconds, progress.log_bytes, progress.threads, tuple(problems), lost)
