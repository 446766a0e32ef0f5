"""What is on the disk: read back before another goes, two good ones kept, and promises whose trials can fail."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from sparring.core.errors import CorruptInput, NonFinite, StorageError, UsageError
from sparring.core.files import write_synced
from sparring.core.shapes import Space
from sparring.recipes import Recipe, load
from sparring.runs import checkpoint
from sparring.runs import folder as rundir
from sparring.runs.checkpoint import TENSORS
from sparring.runs.folder import RunFolder
from torture import damaged_checkpoints
from torture.promise import Promise


@pytest.fixture
def run(short: Callable[..., Recipe], run_path: Path) -> RunFolder:
    return RunFolder.create(run_path, short(), {})


def save(run: RunFolder, step: int, value: float = 0.0) -> None:
    run.save(step, {"value": torch.full((8,), value)}, seconds=1.0, threads=1, space=Space((2,), None))


def names(run: RunFolder) -> list[int]:
    return [int(folder.name) for folder in run.saved()]


def damage(folder: Path) -> None:
    content = (folder / TENSORS).read_bytes()
    (folder / TENSORS).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def test_two_good_checkpoints_stay_whatever_lies_between(run: RunFolder) -> None:
    for step in (1, 2, 3):
        save(run, step)
    assert names(run) == [2, 3]
    damage(run.saved()[-1])
    save(run, 4)
    assert names(run) == [2, 3, 4]
    save(run, 5)
    assert names(run) == [4, 5]


def test_what_cannot_be_read_back_is_no_checkpoint(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def other(path: Path, data: bytes) -> None:
        write_synced(path, data[:-1] + b"x")

    save(run, 1)
    monkeypatch.setattr(checkpoint, "write_synced", other)
    with pytest.raises(StorageError, match="it was written a moment ago") as caught:
        save(run, 2)
    assert caught.value.exit_code == 5 and names(run) == [1]
    assert [path.name for path in run.checkpoints.iterdir()] == ["000000001"]


def test_numbers_that_are_not_finite_are_not_saved(run: RunFolder) -> None:
    with pytest.raises(NonFinite, match="round 1: not finite: value"):
        save(run, 1, float("nan"))
    assert names(run) == []


def test_a_checkpoint_of_an_earlier_format_is_refused_in_one_sentence(run: RunFolder) -> None:
    save(run, 1)
    manifest = run.saved()[-1] / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 2', '"format": 1'))
    with pytest.raises(CorruptInput, match="checkpoint format 1, and this version reads 2 alone"):
        run.latest()


def test_half_written_things_go_at_the_next_start_but_those_of_others_at_work(run: RunFolder) -> None:
    mine, others, gone = (f".partial-x-{number}-00c0ffee" for number in (os.getpid(), os.getppid(), 999_999_999))
    for folder in (run.path, run.checkpoints):
        for name in (mine, others, gone, ".partial-of-an-earlier-version"):
            (folder / name).write_text("half")
    with run.owned():
        assert [path.name for path in run.path.glob(".partial-*")] == [others]
        assert not list(run.checkpoints.glob(".partial-*"))


def nothing(*_arguments: Any, **_options: Any) -> None:
    pass


def damaged(damage: Callable[..., Path]) -> tuple[Promise, int]:
    """The trial in which this damage is done."""
    return damaged_checkpoints.PROMISE, damaged_checkpoints.DAMAGES.index(damage)


MUTANTS: dict[str, tuple[tuple[Promise, int], Any, str, Any]] = {
    "hashes are not compared": (damaged(damaged_checkpoints._member_of_another), checkpoint, "_require", nothing),
    "the log is not compared": (
        damaged(damaged_checkpoints._damage_the_log), rundir, "sha256_of_first", lambda path, count: "0" * 64
    ),
}  # fmt: skip
"""What is broken, and the trial that notices."""


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_trial_notices_what_is_broken(mutant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (promise, index), owner, name, broken = MUTANTS[mutant]
    monkeypatch.setattr(owner, name, broken)
    assert fails(promise, index, tmp_path / "broken")
    monkeypatch.undo()
    assert not fails(promise, index, tmp_path / "whole")


def fails(promise: Promise, index: int, shared: Path) -> bool:
    shared.mkdir()
    try:
        promise.attempt(index, seed=0, shared=shared)
    except Exception:
        return True
    return False


def test_a_recipe_too_long_to_be_read_back_makes_no_folder(tmp_path: Path) -> None:
    recipe = load("dishonest/ring-small", [f"description={'x' * 70_000}"])
    with pytest.raises(UsageError, match="the recipe takes"):
        RunFolder.create(tmp_path / "run", recipe, {})
    assert not list(tmp_path.iterdir())
