"""Who owns a folder of runs."""

from pathlib import Path

import pytest

from sparring.core.files import PREFIX
from sparring.runs import lock


def test_a_new_owner_waits_for_workers_of_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "runs" / "key" / "0x1"
    run.mkdir(parents=True)
    left = [tmp_path / f"{PREFIX}1", run.parent / f"{PREFIX}2"]
    for folder in left:
        folder.mkdir()
    worker, waits = lock.owned(run), []

    def sleep(seconds: float) -> None:
        assert all(folder.exists() for folder in left)  # the worker may still be writing them
        waits.append(seconds)
        if len(waits) == 3:
            worker.__exit__(None, None, None)

    monkeypatch.setattr(lock.time, "sleep", sleep)
    worker.__enter__()
    with lock.owned_with_runs(tmp_path, "runs/*/*"):
        assert len(waits) == 3
        assert not any(folder.exists() for folder in left)
        left[1].mkdir()  # by a worker that is killed
    assert not left[1].exists()


def test_the_wait_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "runs" / "0x1"
    run.mkdir(parents=True)
    monkeypatch.setattr(lock, "_SAVING", 0.0)
    with lock.owned(run), lock.owned_with_runs(tmp_path, "runs/*"):
        assert lock.owner(run) is not None
