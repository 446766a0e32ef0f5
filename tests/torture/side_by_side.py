"""A sweep whose processes are killed all the time, the coordinator too, ends as one that nothing happened to."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random

from sparring.core.errors import SparringError
from sparring.sweeps.side_by_side import TRIES
from sparring.sweeps.sweep import Sweep
from sparring.sweeps.table import write_table
from sparring.sweeps.workers import Processes
from torture.games import made_once, require_same
from torture.promise import Promise, Trial
from torture.starts import KILLED, require_swept

_RECIPE = "dishonest/ring-small"
_GRID = (
    "generator={name: mlp, latent: 8, hidden: [16, 16]}",
    "discriminator={name: mlp, hidden: [16, 16]}",
    "replicas=1",
    "steps=80",
    "log_every=10",
    "checkpoint_every=20",
    "sample_every=0",
    "evaluate_every=80",
    "objective=log,square_root",
    "regime=plain,symmetric",
    "batch_size=24,32",
    "feedback.probability=0.0,0.4,0.6",
)
"""24 cells: 8 packs of 3 games."""
_CELLS, _AT_A_TIME = 24, 2
_MISSED, _BUSY = 1, 3
"""Exit codes of a coordinator: a run was killed too often; one of an earlier coordinator still saves."""
_PATIENCE = 60
"""Seconds within which workers without a coordinator are gone."""


def _trial(trial: Trial) -> None:
    draw, shared, folder = trial.draw, trial.shared, trial.folder / "sweep"
    kills = _Kills(draw, folder / "runs", workers=draw.randint(1, 4), coordinators=draw.randint(0, 2))
    while True:
        coordinator = subprocess.Popen(
            [sys.executable, "-m", __name__, str(folder)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        killed = kills.haunt(coordinator)
        code = coordinator.wait()
        if code == 0:
            break
        assert code in (_MISSED, _BUSY, KILLED), f"the coordinator ended with exit code {code}"
        if code == _MISSED:
            aside = json.loads((folder / "aside.json").read_text())
            assert killed >= TRIES * len(aside), f"{killed} kills, and {len(aside)} runs are set aside"
    require_swept(trial.folder)
    undisturbed = made_once(shared / "undisturbed sweep", _sweep)
    _require_every_cell_once(folder / "cells.csv")
    for name in ("sweep.yaml", "aside.json", "cells.csv", "cells.parquet"):
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes(), f"{name} differs"
    runs = sorted(path.name for path in (undisturbed / "runs").iterdir())
    assert sorted(path.name for path in (folder / "runs").iterdir()) == runs
    for run in runs:
        require_same(undisturbed / "runs" / run, folder / "runs" / run)


def _require_every_cell_once(table: Path) -> None:
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["status"] for row in rows} == {"complete"}
    keys = ("objective", "regime", "batch_size", "feedback.probability")
    assert len(rows) == len({tuple(row[key] for key in keys) for row in rows}) == _CELLS


class _Kills:
    """Kills that are still to come.

    Args:
        draw: their moments and their victims.
        runs: the folder of the runs.
        workers: how many of them, or of the processes that fork them.
        coordinators: how many of them.
    """

    def __init__(self, draw: Random, runs: Path, *, workers: int, coordinators: int) -> None:
        self._draw, self._runs, self._workers, self._coordinators = draw, runs, workers, coordinators
        self._begun: dict[Path, int] = {}

    def haunt(self, coordinator: subprocess.Popen[bytes]) -> int:
        """Kill workers every now and then until the coordinator ends, or is killed too; how many were killed."""
        killed = 0
        doom = time.monotonic() + self._draw.uniform(1, 6) if self._coordinators else float("inf")
        while coordinator.poll() is None:
            time.sleep(self._draw.uniform(0.1, 1.5))
            self._require_begun_once()
            servers = _below(coordinator.pid)
            workers = [worker for server in servers for worker in _below(server)]
            if time.monotonic() > doom:
                self._coordinators -= 1
                coordinator.kill()
                _require_gone([*servers, *workers])
                return killed
            if workers and self._workers:
                self._workers -= 1
                killed += 1
                _kill(self._draw.choice([*workers, *servers]))
        self._require_begun_once()
        return killed

    def _require_begun_once(self) -> None:
        """What is played again is at most an interval: no run is thrown away and begun anew."""
        for path in self._runs.glob("*/recipe.yaml"):
            written = path.stat().st_mtime_ns
            assert self._begun.setdefault(path, written) == written, f"{path.parent}: begun anew"


def _below(process: int) -> list[int]:
    """The processes that one has started: workers, or what forks them; Python's own bookkeeping loses nothing."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        return [
            int(child) for child in children if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes()
        ]
    except OSError:  # one ended meanwhile
        return []


def _kill(process: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _require_gone(processes: list[int]) -> None:
    """Workers end, saved, when nobody coordinates them, and what forked them ends with them."""
    deadline = time.monotonic() + _PATIENCE
    while any(Path(f"/proc/{process}").exists() for process in processes):
        assert time.monotonic() < deadline, "workers outlive their coordinator"
        time.sleep(0.05)


def _sweep(folder: Path) -> None:
    """Play what is missing, as the verb does.

    Raises:
        SparringError: a run was set aside.
    """
    with Sweep.begun(folder, _RECIPE, _GRID, _AT_A_TIME) as sweep:
        aside = sweep.play(Processes(_AT_A_TIME), lambda _done, _total: None, lambda _done, _total: None)
        write_table(sweep)
    for error in aside.values():
        raise error


def _coordinate(folder: Path) -> None:
    try:
        _sweep(folder)
    except SparringError as error:
        sys.exit(error.exit_code)


PROMISE = Promise(
    number=13,
    title="Workers of a sweep of 24 cells are killed, the coordinator too; every cell once, the table byte-equal",
    quick=1,
    long=15,
    trial=_trial,
)

if __name__ == "__main__":
    _coordinate(Path(sys.argv[1]))
