"""What stops a run: numbers that are not finite, named by their site, and disks that refuse."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sparring.core.errors import NonFinite, SparringError, StorageError
from sparring.evaluation.evaluate import evaluate
from sparring.gan.state import Networks
from sparring.recipes import Recipe
from sparring.runs.folder import RunFolder
from sparring.training.loop import resume, train
from torture import non_finite
from untimed import untimed_rows


def test_a_promise_without_its_guard_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither losses and gradients nor the state to save are checked: the trials of promise 6 fail."""
    monkeypatch.setattr(torch.Tensor, "isfinite", lambda tensor: torch.ones_like(tensor, dtype=torch.bool))
    monkeypatch.setattr(non_finite, "SITES", {"score": non_finite.SITES["score"]._replace(kinds=["plain"])})
    with pytest.raises((AssertionError, SparringError)):
        non_finite.PROMISE.attempt(0, seed=0, shared=tmp_path)


class _Overflowing(nn.Module):
    """A G whose samples overflow outside of training."""

    def forward(self, latents: Tensor) -> Tensor:
        return torch.full((*latents.shape[:-1], 2), float("nan"))


def test_a_generator_of_samples_that_are_not_finite_is_not_measured(
    short: Callable[..., Recipe], run_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(short("steps=1"), run_path, device="cpu")
    monkeypatch.setattr(Networks, "sampler", property(lambda self: _Overflowing()))
    with pytest.raises(NonFinite, match="samples of G"):
        evaluate(run_path, samples=64, device="cpu")


def test_a_full_disk_leaves_nothing_and_the_error_says_what_to_do(
    short: Callable[..., Recipe], run_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Promise 4 tries all other operations on files."""

    def refuse(*_arguments: Any, **_options: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", refuse)
    with pytest.raises(StorageError, match="No space left") as caught:
        train(short(), run_path, device="cpu")
    assert caught.value.exit_code == 5 and "free some space" in caught.value.remedy
    assert not list(run_path.parent.iterdir())


def _train_with_small_files(recipe: Recipe, path: Path, largest: int) -> None:
    """Train where no file can grow beyond `largest` bytes, and leave with the error's exit code."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
    try:
        train(recipe, path, device="cpu")
    except StorageError as error:
        os._exit(error.exit_code)
    os._exit(0)


@pytest.mark.parametrize("largest", [400, 1500, 4000, 9000])
def test_writes_that_stop_half_way(largest: int, short: Callable[..., Recipe], tmp_path: Path) -> None:
    recipe, run = short("sample_every=5"), tmp_path / "run"
    child = multiprocessing.get_context("fork").Process(target=_train_with_small_files, args=(recipe, run, largest))
    child.start()
    child.join()
    assert child.exitcode == 5
    assert not list(tmp_path.rglob(".partial-*"))
    if run.exists():
        resume(run, device="cpu")
        train(recipe, tmp_path / "whole", device="cpu")
        assert untimed_rows(run) == untimed_rows(tmp_path / "whole")


def test_the_seconds_of_the_log_go_on_after_a_resume(short: Callable[..., Recipe], tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(short(), run, device="cpu")
    before = [row["seconds"] for row in RunFolder.open(run).rows()]
    shutil.rmtree(RunFolder.open(run).saved()[-1])
    start = int(RunFolder.open(run).saved()[-1].name)  # the row of this round is written again
    kept = sum(row["step"] < start for row in RunFolder.open(run).rows())
    resume(run, device="cpu")
    seconds = [row["seconds"] for row in RunFolder.open(run).rows()]
    assert 0 < kept < len(before)
    assert len(seconds) == len(before)
    assert seconds[:kept] == before[:kept]
    assert seconds == sorted(seconds)
    assert 0 < seconds[-1] <= RunFolder.open(run).summary().seconds + 0.01
