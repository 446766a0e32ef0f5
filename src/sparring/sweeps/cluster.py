"""A crew of Ray tasks: on this machine, or on a cluster whose machines share the folder of the runs.

Ray's own retries are off: a task that is lost is started again here, from the run's last checkpoint, and given up by
the same rule as a process of this machine.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import logging
import os
import signal
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from sparring.core.errors import UsageError
from sparring.core.progress import Nobody
from sparring.core.signals import STOPS
from sparring.recipes import AnyRecipe
from sparring.runs.folder import RunFolder
from sparring.sweeps.side_by_side import Crew, End, Worker, play_run

LOCAL = "local"
"""The address of a cluster that is started on this machine, and ends with the crew."""
_STORE = 100 << 20
"""Bytes of Ray's object store on this machine: recipes are small."""
_TAIL = 1 << 16
"""Bytes at the end of a log that a row is looked for in."""
_SAVING = 60.0
"""Seconds that tasks have to save."""


class Cluster(Crew):
    """Workers that are tasks of Ray, one CPU each.

    Args:
        address: `local`, `auto` for the cluster that this machine belongs to, or `ray://HOST:PORT`.
        size: how many at a time; 0 is one for each CPU of the cluster, or for each of its shares of a GPU.
        gpus_per_run: share of a GPU that a run takes, 0.25 for four runs a GPU; 0 plays on CPUs.

    Raises:
        UsageError: Ray is not installed, no cluster answers at the address, or it has no such share to give.
    """

    def __init__(self, address: str = LOCAL, size: int = 0, gpus_per_run: float = 0.0) -> None:
        ray = self._ray = _ray()
        with _own_signals():
            _connect(address, size)
        shares = ray.cluster_resources()
        most = int(shares.get("GPU", 0.0) / gpus_per_run) if gpus_per_run else int(shares.get("CPU", 1.0))
        if most < 1:
            ray.shutdown()
            raise UsageError(f"{address}: no GPU to give {gpus_per_run:g} of", "take less of --gpus-per-run, or 0")
        self.size = size or most
        self._work = ray.remote(num_cpus=1, num_gpus=gpus_per_run, max_retries=0)(_work)
        self._device = "cuda" if gpus_per_run else "cpu"
        self._tasks: list[_Task] = []

    def start(self, path: Path, recipe: AnyRecipe) -> Worker:
        own = {name: value for name, value in os.environ.items() if name.startswith("SPARRING_")}
        task = _Task(self._work.remote(str(path), recipe.model_dump(mode="json"), self._device, own), path)
        self._tasks.append(task)
        return task

    def wait(self, seconds: float) -> None:
        self._tasks = [task for task in self._tasks if not task.has_ended]
        self._ray.wait([task.result for task in self._tasks], timeout=seconds)

    def dismiss(self) -> None:
        try:
            left = [task.result for task in self._tasks if not task.has_ended]
            for result in left:
                self._ray.cancel(result)  # as Ctrl-C, which the trainer hears
            if left:
                self._ray.wait(left, num_returns=len(left), timeout=_SAVING)
        finally:
            with _own_signals():
                self._ray.shutdown()


class _Task(Worker):
    """A task, seen from its owner; how far it is, the run's log tells."""

    def __init__(self, result: Any, path: Path) -> None:
        self.result, self.has_ended = result, False
        self._rows = RunFolder(path).rows_path

    @property
    def played(self) -> int:
        return _rounds(self._rows)

    def end(self) -> End | None:
        ray = _ray()
        ready, _ = ray.wait([self.result], timeout=0)
        if not ready:
            return None
        self.has_ended = True
        try:
            return End(error=ray.get(self.result))
        except ray.exceptions.RayTaskError as error:  # what it failed with could not even be told
            return End(error=error)
        except ray.exceptions.RayError as error:  # the process, its node or its memory is gone
            return End(killed=type(error).__name__)


def _ray() -> Any:
    """The package, whether or not a type checker can see it.

    Raises:
        UsageError: it is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise UsageError("Ray is not installed", "pip install 'sparring[cluster]', or sweep without --address")
    return importlib.import_module("ray")


def _connect(address: str, size: int) -> None:
    ray = _ray()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody
    quiet: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    own: dict[str, Any] = {"num_cpus": size or None, "include_dashboard": False, "object_store_memory": _STORE}
    try:
        ray.init(address=address, **quiet, **(own if address == LOCAL else {}))
    except (ConnectionError, ValueError, RuntimeError) as error:
        told = str(error).split("\n")[0]
        raise UsageError(f"{address}: no cluster answers ({told})", "start one with `ray start --head`") from None


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """A block that leaves signals to whom they were: Ray puts its own handlers there."""
    before = {number: signal.getsignal(number) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _rounds(rows: Path) -> int:
    """The round of the last whole row of a log, as far as it can be read now; 0 without one."""
    with contextlib.suppress(OSError, ValueError, KeyError, IndexError), open(rows, "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
        return int(json.loads(file.read().split(b"\n")[-2])["step"])
    return 0


def _work(path: str, values: Mapping[str, Any], device: str, environment: Mapping[str, str]) -> Exception | None:
    os.environ.update(environment)
    torch.set_num_threads(1)
    try:
        play_run(Path(path), values, device=device, spectator=Nobody())
    except Exception as error:
        error.add_note(traceback.format_exc())
        return error
    return None
