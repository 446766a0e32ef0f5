"""The engine: one round of the game, the trainer around it, and the run folder that loses nothing."""

from sparring.engine.finetuning import FineTuning, finetuning
from sparring.engine.game import Game
from sparring.engine.lesson import give_lesson
from sparring.engine.loading import LoadedClassifier, LoadedPlayers, load_classifier, load_players
from sparring.engine.opening import Loaded, load_game
from sparring.engine.pupil import Pupil
from sparring.engine.round import play_round
from sparring.engine.rundir import RunFolder
from sparring.engine.side_by_side import Strict, play_side_by_side
from sparring.engine.spectator import Nobody, Spectator
from sparring.engine.trainer import resume, train
from sparring.engine.workers import Processes

__all__ = [
    "FineTuning",
    "Game",
    "Loaded",
    "LoadedClassifier",
    "LoadedPlayers",
    "Nobody",
    "Processes",
    "Pupil",
    "RunFolder",
    "Spectator",
    "Strict",
    "finetuning",
    "give_lesson",
    "load_classifier",
    "load_game",
    "load_players",
    "play_round",
    "play_side_by_side",
    "resume",
    "train",
]
