"""The same runs on a local Ray cluster, also when a worker is killed or the sweep is stopped."""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sparring.core.errors import UsageError
from sparring.core.process import Progress
from sparring.recipes import Recipe
from sparring.sweeps.executor import rounds_logged, status_of, train_runs
from sparring.sweeps.ray_executor import RayExecutor

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray: the extra `cluster`")


class _KillOne(Progress):
    """Kills the worker of a run once rounds have been logged. Its process number is in the lock file."""

    def __init__(self, lock: Path) -> None:
        self._lock, self.killed = lock, 0

    def advance(self, done: int, total: int) -> None:
        if self._lock.exists() and not self.killed:
            self.killed = int(self._lock.read_text().split()[1])
            os.kill(self.killed, signal.SIGKILL)


@needs_ray
@pytest.mark.long
def test_ray_restarts_a_killed_task_and_stops_all_at_the_end(short: Callable[..., Recipe], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="auto: no cluster answers"):  # before there is one
        RayExecutor("auto")
    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    runs = {
        tmp_path / "finite": short("steps=300", "log_every=1", "checkpoint_every=50"),
        tmp_path / "endless": short("steps=10000000", "log_every=1"),
    }
    progress = _KillOne(tmp_path / "finite" / ".lock")
    with RayExecutor("local", 2) as executor:
        assert executor.workers == 2
        for path, error in train_runs(runs, executor, progress):
            assert (path.name, error) == ("finite", None)
            while not rounds_logged(tmp_path / "endless"):
                time.sleep(0.1)
            break
    assert progress.killed and status_of(tmp_path / "finite") == "complete"
    assert status_of(tmp_path / "endless") == "interrupted"
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers


def test_without_ray_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match="Ray is not installed") as caught:
        RayExecutor()
    assert "sparring[cluster]" in caught.value.remedy


def test_an_impossible_address_is_refused() -> None:
    with pytest.raises(UsageError, match="--address nonsense"):
        RayExecutor("nonsense")
