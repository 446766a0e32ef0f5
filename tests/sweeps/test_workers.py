"""Runs side by side: one that fails stops the others, and nothing is lost."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from sparring.core.errors import NonFinite, SparringError
from sparring.recipes import Recipe
from sparring.runs.folder import RunFolder
from sparring.sweeps.side_by_side import Strict, play_side_by_side
from sparring.sweeps.workers import Processes, _portable

LONG = ("steps=10000000", "checkpoint_every=0")


def test_what_one_worker_fails_with_is_told_and_the_others_are_saved(
    short: Callable[..., Recipe], tmp_path: Path
) -> None:
    wild = short(*LONG, "optimizers.generator={name: sgd, lr: 1e+30}")
    runs = {tmp_path / "sound": short(*LONG), tmp_path / "wild": wild, tmp_path / "never begun": short(*LONG)}
    with pytest.raises(NonFinite, match="not finite") as caught:
        play_side_by_side(runs, Strict(lambda _done, _total: None), Processes(2))
    assert caught.value.exit_code == 6
    assert "trainer.py" in caught.value.__notes__[0], "the worker's traceback comes along"
    sound = RunFolder.open(tmp_path / "sound")
    assert sound.summary().status == "interrupted"
    assert sound.saved() and not sound.is_owned()
    assert not (tmp_path / "never begun").exists()
    assert not multiprocessing.active_children()


class Odd(Exception):
    """An error that pickles, and cannot be made again."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


@pytest.mark.parametrize("error", [Odd(1, 2), ValueError(lambda: 0)], ids=["arguments", "contents"])
def test_an_error_that_cannot_travel_is_told(error: Exception) -> None:
    error.add_note("where it was")
    arrived = pickle.loads(pickle.dumps(_portable(error)))
    assert isinstance(arrived, SparringError)
    assert type(error).__name__ in arrived.cause and str(error) in arrived.cause
    assert arrived.__notes__ == ["where it was"]
    sound = ValueError("simple")
    assert _portable(sound) is sound


def _kill_workers(_done: int, _total: int) -> None:
    for worker in multiprocessing.active_children():
        worker.kill()


def test_workers_that_are_killed_again_and_again_are_missed(short: Callable[..., Recipe], run_path: Path) -> None:
    with pytest.raises(SparringError, match=r"3 workers were killed in a row \(SIGKILL\).* round 0"):
        play_side_by_side({run_path: short(*LONG)}, Strict(_kill_workers), Processes(2))
    assert not multiprocessing.active_children()
