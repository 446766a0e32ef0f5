"""Runs side by side, whose processes are killed all the time, end as each would have ended by itself."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from sparring.engine import RunFolder, play_side_by_side
from sparring.engine.workers import TRIES
from sparring.errors import SparringError
from sparring.recipes import AnyRecipe
from sparring.report import report_folder
from torture.games import made_once, play, recipe_of, require_same
from torture.promise import Promise, Trial
from torture.starts import KILLED, require_swept

_CELLS = ("plain", "flip, replicas", "symmetric", "spectral norm, replicas", "classifier", "mixed")
_CHOSEN = 3
_LONGER = ("steps=250", "checkpoint_every=20", "log_every=10", "evaluate_every=120")
_MISSED, _BUSY = 1, 3
"""Exit codes of a coordinator: workers were killed too often; one of an earlier coordinator still saves."""
_PATIENCE = 60
"""Seconds within which workers without a coordinator are gone."""


def _trial(trial: Trial) -> None:
    draw, shared = trial.draw, trial.shared
    kinds, runs = draw.sample(_CELLS, _CHOSEN), trial.folder / "runs"
    whole = {
        kind: made_once(shared / f"cell {kind}", lambda path, kind=kind: play(_cell(kind, shared), path))
        for kind in kinds
    }
    kills = _Kills(draw, runs, workers=draw.randint(1, 4), coordinators=draw.randint(0, 2))
    while True:
        coordinator = subprocess.Popen(
            [sys.executable, "-m", __name__, str(shared), str(runs), *kinds],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        killed = kills.haunt(coordinator)
        code = coordinator.wait()
        if code == 0:
            break
        assert code in (_MISSED, _BUSY, KILLED), f"the coordinator ended with exit code {code}"
        assert code != _MISSED or killed >= TRIES, f"the coordinator gave up after {killed} kills"
    require_swept(trial.folder)
    assert sorted(path.name for path in runs.iterdir()) == sorted(kinds)
    for kind in kinds:
        require_same(whole[kind], runs / kind)
        shutil.copytree(whole[kind], trial.folder / "expected" / "runs" / kind)
    assert _table(runs) == _table(trial.folder / "expected" / "runs"), "the pages differ"


class _Kills:
    """Kills that are still to come.

    Args:
        draw: their moments and their victims.
        runs: the folder of the runs.
        workers: how many of them.
        coordinators: how many of them.
    """

    def __init__(self, draw: Random, runs: Path, *, workers: int, coordinators: int) -> None:
        self._draw, self._runs, self._workers, self._coordinators = draw, runs, workers, coordinators
        self._begun: dict[Path, int] = {}

    def haunt(self, coordinator: subprocess.Popen[bytes]) -> int:
        """Kill workers every now and then until the coordinator ends, or is killed too; how many were killed."""
        killed = 0
        doom = time.monotonic() + self._draw.uniform(1, 15) if self._coordinators else float("inf")
        while coordinator.poll() is None:
            time.sleep(self._draw.uniform(0.1, 3))
            self._require_begun_once()
            workers = _workers_of(coordinator.pid)
            if time.monotonic() > doom:
                self._coordinators -= 1
                coordinator.kill()
                _require_gone(workers)
            elif workers and self._workers:
                self._workers -= 1
                killed += 1
                os.kill(self._draw.choice(workers), signal.SIGKILL)
        self._require_begun_once()
        return killed

    def _require_begun_once(self) -> None:
        """What is played again is at most an interval: no run is thrown away and begun anew."""
        for path in self._runs.glob("*/recipe.yaml"):
            written = path.stat().st_mtime_ns
            assert self._begun.setdefault(path, written) == written, f"{path.parent}: begun anew"


def _workers_of(coordinator: int) -> list[int]:
    try:
        children = Path(f"/proc/{coordinator}/task/{coordinator}/children").read_text().split()
        return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    except OSError:  # one ended meanwhile
        return []


def _require_gone(workers: list[int]) -> None:
    """Workers end, saved, when nobody coordinates them."""
    deadline = time.monotonic() + _PATIENCE
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline, "workers outlive their coordinator"
        time.sleep(0.05)


def _table(runs: Path) -> bytes:
    """The page of all runs, without the time that they took."""
    for path in runs.iterdir():
        run = RunFolder.open(path)
        run.write_summary(run.summary() | {"seconds": 0.0})
    return report_folder(runs).read_bytes()


def _cell(kind: str, shared: Path) -> AnyRecipe:
    return recipe_of(kind, shared, *_LONGER)


def _coordinate(shared: Path, runs: Path, *kinds: str) -> None:
    try:
        play_side_by_side({runs / kind: _cell(kind, shared) for kind in kinds}, lambda _done, _total: None)
    except SparringError as error:
        sys.exit(error.exit_code)


PROMISE = Promise(
    number=13,
    title="Workers of runs side by side are killed, the coordinator too; every run is played once, to the same end",
    quick=1,
    long=15,
    trial=_trial,
)

if __name__ == "__main__":
    _coordinate(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
