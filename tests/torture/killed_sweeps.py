"""A sweep whose workers are killed again and again, and its coordinator too, ends like an undisturbed one."""

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

from in_process import InProcess
from sparring.core.errors import SparringError
from sparring.sweeps.executor import Executor, LocalExecutor
from sparring.sweeps.sweep import RunsFailed, sweep
from sparring.sweeps.sweep_folder import FAILED
from torture.games import made_once, require_same
from torture.promise import Promise, Trial
from torture.starts import KILLED, require_swept

_RECIPE = "dishonest/ring-small"
_GRID = (
    "generator={name: mlp, latent: 8, hidden: [16, 16]}",
    "discriminator={name: mlp, hidden: [16, 16]}",
    "steps=40",
    "log_every=5",
    "checkpoint_every=10",
    "sample_every=0",
    "evaluate_every=40",
    "objective=log,square_root",
    "regime=plain,symmetric",
    "batch_size=24",
    "seed=0..2",
)
"""12 cells: 4 packs of 3 games."""
_CELLS, _WORKERS = 12, 2
_FAILED, _BUSY = 1, 3
"""Exit codes of a coordinator: workers of a run died too often; a worker of an earlier coordinator still saves."""
_DEADLINE = 600
"""Seconds within which workers without a coordinator end; generous, so that only a hang exceeds it."""


def _trial(trial: Trial) -> None:
    draw, shared, folder = trial.draw, trial.shared, trial.folder / "sweep"
    kills = _Kills(draw, folder / "runs", workers=draw.randint(1, 4), coordinators=draw.randint(0, 2))
    while True:
        coordinator = subprocess.Popen(
            [sys.executable, "-m", __name__, str(folder)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        killed = kills.during(coordinator)
        code = coordinator.wait()
        if code == 0:
            break
        assert code in (_FAILED, _BUSY, KILLED), f"the coordinator ended with exit code {code}"
        if code == _FAILED:
            failed = json.loads((folder / FAILED).read_text())
            assert killed >= LocalExecutor.tries * len(failed), f"{killed} kills, and {len(failed)} runs failed"
    require_swept(folder)
    undisturbed = made_once(shared / "undisturbed sweep", lambda path: _sweep(path, InProcess()))
    _require_every_cell_once(folder / "cells.csv")
    for name in ("sweep.yaml", FAILED, "cells.csv", "cells.parquet"):
        assert (folder / name).read_bytes() == (undisturbed / name).read_bytes(), f"{name} differs"
    runs = sorted(path.name for path in (undisturbed / "runs").iterdir())
    assert sorted(path.name for path in (folder / "runs").iterdir()) == runs
    for run in runs:
        require_same(undisturbed / "runs" / run, folder / "runs" / run)


def _require_every_cell_once(table: Path) -> None:
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["status"] for row in rows} == {"complete"}
    keys = ("objective", "regime", "seed")
    assert len(rows) == len({tuple(row[key] for key in keys) for row in rows}) == _CELLS


class _Kills:
    """Kills that are still to come.

    Args:
        draw: their moments and their victims.
        runs: the folder of the runs.
        workers, coordinators: how many of them.
    """

    def __init__(self, draw: Random, runs: Path, *, workers: int, coordinators: int) -> None:
        self._draw, self._runs, self._workers, self._coordinators = draw, runs, workers, coordinators
        self._started: dict[Path, int] = {}

    def during(self, coordinator: subprocess.Popen[bytes]) -> int:
        """Kill workers until the coordinator ends or is killed too; return how many were killed."""
        killed = 0
        doom = time.monotonic() + self._draw.uniform(1, 10) if self._coordinators else float("inf")
        while coordinator.poll() is None:
            time.sleep(self._draw.uniform(0.1, 1.5))
            self._require_started_once()
            workers = _workers_of(coordinator.pid)
            if time.monotonic() > doom:
                self._coordinators -= 1
                coordinator.kill()
                _require_gone(workers)
                return killed
            if workers and self._workers:
                self._workers -= 1
                killed += 1
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._draw.choice(workers), signal.SIGKILL)
        self._require_started_once()
        return killed

    def _require_started_once(self) -> None:
        """At most the rounds since the last checkpoint are trained again: no run starts anew."""
        for path in self._runs.glob("*/recipe.yaml"):
            written = path.stat().st_mtime_ns
            assert self._started.setdefault(path, written) == written, f"{path.parent}: started anew"


def _workers_of(process: int) -> list[int]:
    """The children of the process that forks workers, which is a child of this one."""
    try:
        servers = [each for each in _children(process) if b"forkserver" in Path(f"/proc/{each}/cmdline").read_bytes()]
        return [worker for server in servers for worker in _children(server)]
    except OSError:  # one ended meanwhile
        return []


def _children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def _require_gone(processes: list[int]) -> None:
    """Workers save and end once their coordinator is gone."""
    deadline = time.monotonic() + _DEADLINE
    while any(Path(f"/proc/{process}").exists() for process in processes):
        assert time.monotonic() < deadline, "workers outlive their coordinator"
        time.sleep(0.05)


def _sweep(folder: Path, executor: Executor) -> None:
    """Train what is missing.

    Raises:
        RunsFailed: runs failed.
    """
    result = sweep(_RECIPE, _GRID, folder, executor=executor)
    if result.failed:
        raise RunsFailed(result.failed)


PROMISE = Promise(
    number=13,
    title="Workers of a sweep are killed, the coordinator too; every cell once, the table byte-equal",
    quick=1,
    long=15,
    trial=_trial,
)

if __name__ == "__main__":
    try:
        _sweep(Path(sys.argv[1]), LocalExecutor(_WORKERS))
    except SparringError as error:
        sys.exit(error.exit_code)
