"""A recipe's training, before its first round or as a run saved it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sparring.engine.environment import choose_device
from sparring.engine.game import Game
from sparring.engine.pupil import Pupil
from sparring.engine.rundir import RunFolder
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
    """

    game: Game | Pupil
    step: int
    seconds: float
    log_bytes: int
    threads: int | None
    problems: tuple[str, ...]


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
        CorruptInput: there are checkpoints, and none is sound.
    """
    checkpoint, problems = run.latest()
    recipe, place = run.recipe(), choose_device(device)
    if checkpoint is None:
        return Loaded(begun(recipe, place), 0, 0.0, 0, None, ())
    source = recipe.data.open(place)
    game = Game(recipe, source, place) if isinstance(recipe, Recipe) else Pupil(recipe, source, place)
    game.load_state(checkpoint.tensors)
    state = checkpoint.state
    return Loaded(game, state["step"], state["seconds"], state["log_bytes"], state["threads"], tuple(problems))
