"""A run that ended before its first checkpoint is begun anew; nothing else in its folder is lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from sparring.core.errors import FolderBusy, UsageError
from sparring.core.process import Progress
from sparring.objectives import Linear
from sparring.recipes import Recipe
from sparring.runs.folder import RunFolder
from sparring.runs.schema import SUMMARY
from sparring.sweeps.sweep_folder import SweepFolder
from sparring.training.loop import train
from untimed import untimed_rows


class _Killed(Progress):
    """Ends the process after the first round, as the kernel does when memory runs out."""

    def note(self, text: str) -> None:
        pass

    def advance(self, done: int, total: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def killed(short: Callable[..., Recipe], run_path: Path) -> Path:
    """The folder of a run that was killed after one round, with a picture, a row and no checkpoint."""
    recipe = short("sample_every=1", "log_every=1", "checkpoint_every=5")
    child = multiprocessing.get_context("fork").Process(target=_train, args=(recipe, run_path))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL and RunFolder(run_path).rows() and not RunFolder(run_path).saved()
    return run_path


def _train(recipe: Recipe, path: Path) -> None:
    train(recipe, path, device="cpu", progress=_Killed())


def test_a_run_killed_before_its_first_checkpoint_is_begun_anew(
    killed: Path, short: Callable[..., Recipe], tmp_path: Path
) -> None:
    (killed / "samples" / "000000001.live.png").write_bytes(b"of a recipe with a running mean")
    (killed / "checkpoints" / ".partial-000000005-abcd").mkdir()
    (killed / "checkpoints" / ".partial-000000005-abcd" / "tensors.safetensors").write_bytes(b"half")
    other = short("sample_every=10", "seed=4")
    train(other, killed, device="cpu")
    train(other, tmp_path / "undisturbed", device="cpu")
    assert untimed_rows(killed) == untimed_rows(tmp_path / "undisturbed")
    files = [
        {path.relative_to(run).as_posix() for path in run.rglob("*") if path.is_file() and "tb" not in path.parts}
        for run in (killed, tmp_path / "undisturbed")
    ]
    assert files[0] == files[1]
    assert RunFolder(killed).recipe() == other


def test_a_run_that_failed_in_its_first_round_is_begun_anew(
    short: Callable[..., Recipe], run_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(Linear, "real", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(short("objective=linear"), run_path, device="cpu")
    assert RunFolder(run_path).recipe_path.is_file()
    assert train(short("objective=linear"), run_path, device="cpu").status == "complete"


@pytest.mark.parametrize("name", ["notes.txt", "samples/mine.png", "checkpoints/best.pt", "old/recipe.yaml"])
def test_what_is_not_of_a_run_stays(name: str, killed: Path, short: Callable[..., Recipe]) -> None:
    (killed / name).parent.mkdir(exist_ok=True)
    (killed / name).write_text("mine")
    before = {path: path.read_bytes() for path in killed.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=f"{name}, which is not of a run"):
        train(short(), killed, device="cpu")
    assert before == {path: path.read_bytes() for path in killed.rglob("*") if path.is_file()}


def test_a_run_with_a_checkpoint_stays(short: Callable[..., Recipe], run_path: Path) -> None:
    train(short(), run_path, device="cpu")
    (run_path / SUMMARY).unlink()
    with pytest.raises(UsageError, match="holds a run already"):
        train(short(), run_path, device="cpu")
    (RunFolder(run_path).saved()[-1] / "manifest.json").unlink()  # a damaged one is one
    with pytest.raises(UsageError, match="holds a run already"):
        train(short(), run_path, device="cpu")


def test_a_run_that_another_process_owns_stays(killed: Path, short: Callable[..., Recipe]) -> None:
    with RunFolder(killed).owned(), pytest.raises(FolderBusy):
        train(short(), killed, device="cpu")


def test_a_sweep_does_not_replace_a_run(killed: Path) -> None:
    with pytest.raises(UsageError, match="holds a run, not a sweep"):
        SweepFolder.create(killed, "dishonest/ring-small", ["seed=0,1"], 1)
