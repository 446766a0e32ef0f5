"""The engine: one round of the game, the trainer around it, and the run folder that loses nothing."""

from sparring.engine.game import Game
from sparring.engine.loading import Loaded, LoadedPlayers, load_game, load_players
from sparring.engine.round import play_round
from sparring.engine.rundir import RunFolder
from sparring.engine.trainer import Nobody, Spectator, resume, train
from sparring.engine.workers import play_side_by_side

__all__ = [
    "Game",
    "Loaded",
    "LoadedPlayers",
    "Nobody",
    "RunFolder",
    "Spectator",
    "load_game",
    "load_players",
    "play_round",
    "play_side_by_side",
    "resume",
    "train",
]
