"""The same sweep by Ray's local mode: the same table, also when its workers are killed."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path

import pytest

from sparring.core.errors import UsageError
from sparring.sweeps.cluster import LOCAL, Cluster
from sparring.sweeps.sweep import Sweep
from sparring.sweeps.table import write_table
from sparring.sweeps.workers import Processes

GRID = (
    "generator={name: mlp, latent: 4, hidden: [8]}",
    "discriminator={name: mlp, hidden: [8]}",
    "batch_size=16",
    "steps=200",
    "log_every=5",
    "checkpoint_every=40",
    "sample_every=0",
    "evaluate_every=200",
    "objective=log,square_root",
    "seed=0..1",
)
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs Ray: the extra `cluster`")


@needs_ray
def test_tasks_of_ray_that_are_killed_play_the_same_table(tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_one(done: int, total: int) -> None:
        if not killed and 0 < done < total:
            for worker in _ray_workers()[:1]:
                os.kill(worker, signal.SIGKILL)
                killed.append(worker)

    handlers = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    tables = []
    for name, crew in (("ray", Cluster(LOCAL, 1)), ("processes", Processes(2))):
        with Sweep.begun(tmp_path / name, "dishonest/ring-small", GRID, 2) as sweep:
            aside = sweep.play(crew, kill_one if name == "ray" else lambda _done, _total: None, lambda _d, _t: None)
            assert not aside
            write_table(sweep)
        tables.append((sweep.csv.read_bytes(), sweep.parquet.read_bytes()))
    assert killed, "a worker was at work, and killed"
    assert tables[0] == tables[1]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == handlers


def _ray_workers() -> list[int]:
    """Processes that play a task now: Ray writes the function's name into their titles."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            title = (folder / "cmdline").read_bytes()
            mine = _is_below(int(folder.name))
        except OSError:
            continue
        if title.startswith(b"ray::_work") and mine:
            found.append(int(folder.name))
    return found


def _is_below(process: int) -> bool:
    """Whether a process descends from this one: other tests may have a cluster of their own."""
    while process > 1:
        process = int((Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split())[1])
        if process == os.getpid():
            return True
    return False


def test_without_ray_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match="Ray is not installed") as caught:
        Cluster()
    assert "sparring[cluster]" in caught.value.remedy


@needs_ray
def test_a_cluster_that_is_not_there_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="auto: no cluster answers"):
        Cluster("auto")
