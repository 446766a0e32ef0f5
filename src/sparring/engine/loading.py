"""A run's newest sound checkpoint back in memory, without an option that repeats the architecture."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from sparring.data import Batch
from sparring.engine.environment import choose_device
from sparring.engine.game import Game, Players
from sparring.engine.rundir import RunFolder
from sparring.engine.sampling import draw
from sparring.errors import UsageError
from sparring.randomness import Streams
from sparring.recipes import Recipe
from sparring.shapes import Bounds, Space


@dataclass(frozen=True)
class Loaded:
    """A game as it was after `step` rounds.

    Args:
        step: rounds played.
        seconds: time spent on them.
        log_bytes: the length of the log then.
        threads: CPU threads that played them, or None before the first checkpoint.
        problems: what was wrong with newer checkpoints.
    """

    game: Game
    step: int
    seconds: float
    log_bytes: int
    threads: int | None
    problems: tuple[str, ...]


@dataclass(frozen=True)
class LoadedPlayers:
    """The networks of a run as they were after `step` rounds; its data are not needed."""

    recipe: Recipe
    players: Players
    streams: Streams
    step: int
    problems: tuple[str, ...]

    def draw(self, count: int, stream: str, number: int, labels: Tensor | None = None) -> Batch:
        """Samples `(*lead, count, ...)` of every game, and their classes; as in `Game.draw`."""
        players = self.players
        return draw(self.recipe, players.sampler, players.space, self.streams, count, stream, number, labels)


def load_game(run: RunFolder, device: str) -> Loaded:
    """The whole game of a run at its newest sound checkpoint, or fresh before the first, to play on.

    Raises:
        UsageError: its data are not where the recipe says.
        CorruptInput: there are checkpoints, and none is sound.
    """
    checkpoint, problems = run.latest()
    recipe, place = run.recipe(), choose_device(device)
    game = Game(recipe, recipe.data.open(place), place)
    if checkpoint is None:
        return Loaded(game, 0, 0.0, 0, None, ())
    game.load_state(checkpoint.tensors)
    state = checkpoint.state
    return Loaded(game, state["step"], state["seconds"], state["log_bytes"], state["threads"], tuple(problems))


def load_players(run: RunFolder, device: str) -> LoadedPlayers:
    """The networks of a run at its newest sound checkpoint, to sample and measure.

    Raises:
        UsageError: the run has no checkpoint yet.
        CorruptInput: there are checkpoints, and none is sound.
    """
    checkpoint, problems = run.latest()
    if checkpoint is None:
        raise UsageError(f"{run.path}: no checkpoint yet", "wait for the first one, or `sparring resume` the run")
    recipe, place = run.recipe(), choose_device(device)
    shape, bounds, *classes = checkpoint.state["space"]
    players = Players(recipe, Space(tuple(shape), bounds and Bounds(*bounds), *classes))
    players.load_state(checkpoint.tensors)
    streams = Streams(recipe.seed, recipe.replicas if recipe.lead else None, place)
    return LoadedPlayers(recipe, players.to(place), streams, checkpoint.state["step"], tuple(problems))
