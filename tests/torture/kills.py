"""A run that is killed at any moment goes on, loses less than one interval of rounds, and ends bit-identical."""

from __future__ import annotations

import json
from pathlib import Path

from sparring.core.process import Progress
from torture.disk import operations
from torture.games import CHECKPOINT_EVERY, KINDS, ROUNDS, made_once, play, recipe_of, require_same
from torture.promise import Promise, Trial
from torture.starts import KILLED, Start, Witness, kill_oneself, require_swept

_INTO_THE_SAVE = 0.25
"""The share of kills that are forced into an operation on a file."""
_MOST = 3
"""Kills of one run, at most."""


class _Sweeper(Progress):
    """Checks, after the first round of a start, that earlier processes left nothing half-written."""

    def __init__(self, witness: Witness, folder: Path) -> None:
        self._witness, self._folder = witness, folder

    def advance(self, done: int, total: int) -> None:
        if not self._witness.has_played:
            require_swept(self._folder)
        self._witness.advance(done, total)


def _start(kind: str, run: Path, shared: Path, at: int) -> Start:
    """Start or resume a run; it is killed at its operation `at` on a file, from 1."""
    recipe = recipe_of(kind, shared)

    def lead(witness: Witness) -> None:
        with operations(run.parent, at, kill_oneself) as counted:
            play(recipe, run, _Sweeper(witness, run))
        (run.parent / "operations.json").write_text(json.dumps(counted.count))

    return Start(lead)


def _undisturbed(kind: str, shared: Path) -> tuple[Path, int]:
    """A run without kills, and the number of its operations on files."""

    def make(folder: Path) -> None:
        folder.mkdir()
        assert _start(kind, folder / "run", shared, 0).code() == 0

    folder = made_once(shared / f"unkilled {kind}", make)
    return folder / "run", json.loads((folder / "operations.json").read_text())


def _trial(trial: Trial) -> None:
    kind, draw = trial.turn(KINDS), trial.draw
    whole, count = _undisturbed(kind, trial.shared)
    place = trial.folder / "0"
    kills, reached, wanted = 0, 0, draw.randint(1, _MOST)
    while True:
        done = kills == wanted
        forced = draw.random() < _INTO_THE_SAVE
        at = draw.randint(1, count) if forced and not done else 0
        place.mkdir(exist_ok=True)
        start = _start(kind, place / "run", trial.shared, at)
        code = start.code() if forced or done else start.killed_after(draw.randint(0, ROUNDS), draw.uniform(0, 0.1))
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
    require_swept(place / "run")
    require_same(whole, place / "run")


PROMISE = Promise(
    number=1,
    title="SIGKILL at any moment, resume ends bit-identical",
    quick=4,
    long=300,
    trial=_trial,
)
