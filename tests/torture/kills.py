"""A run that is killed at any moment goes on, loses less than one interval of rounds, and ends bit-identical."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from sparring.core.progress import Nobody
from torture.disk import operations
from torture.games import CHECKPOINT_EVERY, KINDS, made_once, play, recipe_of, require_same, undisturbed
from torture.promise import Promise, Trial
from torture.starts import KILLED, Start, Witness, kill_oneself, require_swept

_INTO_THE_SAVE = 0.25
"""The share of kills that are forced into an operation on a file."""
_MOST = 3
"""Kills that one run meets."""


class _Sweeper(Nobody):
    """Looks, once a start has come to play, for what killed processes left."""

    def __init__(self, witness: Witness, folder: Path) -> None:
        self._witness, self._folder = witness, folder

    def played(self, done: int, total: int) -> None:
        if not self._witness.has_played:
            require_swept(self._folder)
        self._witness.played(done, total)


@dataclass(frozen=True)
class _Game:
    """What is killed.

    Args:
        kind: of the recipe.
        prepares: whether it computes first the features of the data, which are otherwise kept for all.
    """

    kind: str
    prepares: bool = False

    def start(self, run: Path, shared: Path, at: int) -> Start:
        """Start or continue it; at its operation `at` on a file, from 1, it is killed."""
        recipe = recipe_of(self.kind, shared)
        if self.prepares:
            undisturbed(self.kind, shared)  # fills the cache of all

        def lead(witness: Witness) -> None:
            if self.prepares:
                os.environ["SPARRING_CACHE"] = str(_without_features(run.parent / "cache"))
            with operations(run.parent, at, kill_oneself) as counted:
                play(recipe, run, _Sweeper(witness, run.parent))
            (run.parent / "operations.json").write_text(json.dumps(counted.count))

        return Start(lead)

    def undisturbed(self, shared: Path) -> Undisturbed:
        """What it is without kills, measured once a session."""

        def make(folder: Path) -> None:
            folder.mkdir()
            began = time.monotonic()
            assert self.start(folder / "run", shared, 0).code() == 0
            (folder / "seconds.json").write_text(json.dumps(time.monotonic() - began))

        prepared = ", prepares" if self.prepares else ""
        return Undisturbed(made_once(shared / f"unkilled {self.kind}{prepared}", make))


@dataclass(frozen=True)
class Undisturbed:
    """A run that nobody killed."""

    folder: Path

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def seconds(self) -> float:
        return float(json.loads((self.folder / "seconds.json").read_text()))

    @property
    def operations(self) -> int:
        """On files of its folder."""
        return int(json.loads((self.folder / "operations.json").read_text()))


_GAMES = [*map(_Game, KINDS), _Game("images", prepares=True)]


def _trial(trial: Trial) -> None:
    game, draw = trial.turn(_GAMES), trial.draw
    whole = game.undisturbed(trial.shared)
    place = trial.folder / "0"
    kills, reached, wanted = 0, 0, draw.randint(1, _MOST)
    while True:
        done = kills == wanted
        forced = draw.random() < _INTO_THE_SAVE
        at = draw.randint(1, whole.operations) if forced and not done else 0
        place.mkdir(exist_ok=True)
        start = game.start(place / "run", trial.shared, at)
        code = start.code(None if forced or done else draw.uniform(0, whole.seconds))
        assert code in (0, KILLED), f"the start after {kills} kills ended with exit code {code}"
        if start.first:
            lost = reached - (start.first - 1)
            assert lost < CHECKPOINT_EVERY, f"{lost} rounds are lost"
        reached = max(reached, start.last)
        if code == KILLED:
            kills += 1
        elif kills:
            break
        else:  # it was faster than the kill
            place = trial.folder / f"{int(place.name) + 1}"
            reached = 0
    require_swept(trial.folder)
    require_same(whole.run, place / "run")


def _without_features(cache: Path) -> Path:
    """The cache of all, less the features of the data."""
    if not cache.exists():
        shutil.copytree(os.environ["SPARRING_CACHE"], cache, ignore=shutil.ignore_patterns("features"))
    return cache


PROMISE = Promise(
    number=1,
    title="SIGKILL at any moment, resume ends bit-identical",
    quick=20,
    long=300,
    trial=_trial,
)
