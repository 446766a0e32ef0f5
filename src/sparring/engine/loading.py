"""A run's newest sound checkpoint back in memory, without an option that repeats the architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sparring.engine.environment import choose_device
from sparring.engine.game import Game
from sparring.engine.rundir import RunFolder


@dataclass(frozen=True)
class Loaded:
    """A game as it was after `step` rounds.

    Args:
        step: rounds played.
        seconds: time spent on them.
        log_bytes: the length of the log then.
        problems: what was wrong with newer checkpoints.
    """

    game: Game
    step: int
    seconds: float
    log_bytes: int
    problems: tuple[str, ...]


def load_game(run: RunFolder, device: str) -> Loaded:
    """The game of a run at its newest sound checkpoint, or fresh before the first.

    Raises:
        UsageError: its data are not where the recipe says.
        CorruptInput: there are checkpoints, and none is sound.
    """
    checkpoint, problems = run.latest()
    recipe, place = run.recipe(), choose_device(device)
    game = Game(recipe, recipe.data.open(place), place)
    state: dict[str, Any] = {"step": 0, "seconds": 0.0, "log_bytes": 0}
    if checkpoint:
        game.load_state(checkpoint.tensors)
        state = checkpoint.state
    return Loaded(game, state["step"], state["seconds"], state["log_bytes"], tuple(problems))
