"""A run folder keeps two checkpoints and has one owner."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from new_run import new_run
from sparring.core.errors import CorruptInput, FolderBusy, NonFinite
from sparring.core.shapes import Space
from sparring.recipes import Recipe
from sparring.runs.folder import RunFolder
from torture import damaged_checkpoints
from torture.promise import Promise


@pytest.fixture
def run(short: Callable[..., Recipe], run_path: Path) -> RunFolder:
    return new_run(run_path, short())


def save(run: RunFolder, step: int, value: float = 0.0) -> None:
    run.save(step, {"value": torch.full((8,), value)}, seconds=1.0, threads=1, space=Space((2,), None))


def names(run: RunFolder) -> list[int]:
    return [int(folder.name) for folder in run.saved()]


def test_the_newest_two_checkpoints_stay(run: RunFolder) -> None:
    for step in (1, 2, 3):
        save(run, step)
    assert names(run) == [2, 3]


def test_half_a_row_at_the_end_of_the_log_is_no_row(run: RunFolder) -> None:
    run.append_row({"step": 1})
    with open(run.rows_path, "ab") as file:
        file.write(b'{"step": 2, "d_re')
    assert run.rows() == [{"step": 1}]


@pytest.mark.parametrize("line", [b"[]", b"{", b'{"a": NaN, "step": 2}', b'{"step": 0}', b'{"step": "2"}', b"\xff"])
def test_a_damaged_row_is_named_by_its_line(line: bytes, run: RunFolder) -> None:
    run.append_row({"step": 1})
    with open(run.rows_path, "ab") as file:
        file.write(line + b"\n")
    with pytest.raises(CorruptInput, match=r"metrics\.jsonl, line 2"):
        run.rows()


def test_the_owner_of_a_folder_is_named(run: RunFolder) -> None:
    with run.owned():
        assert run.is_owned()
        for start in (run.owned().__enter__, lambda: RunFolder.require_free(run.path)):
            with pytest.raises(FolderBusy, match=f"in use by process {os.getpid()}") as caught:
                start()
            assert caught.value.exit_code == 3
    assert not run.is_owned()
    with run.owned():
        pass


def test_numbers_that_are_not_finite_are_not_saved(run: RunFolder) -> None:
    with pytest.raises(NonFinite, match="round 1: not finite: value"):
        save(run, 1, float("nan"))
    assert names(run) == []


def test_a_checkpoint_of_an_earlier_format_is_refused_in_one_sentence(run: RunFolder) -> None:
    save(run, 1)
    manifest = run.saved()[-1] / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 2', '"format": 1'))
    with pytest.raises(CorruptInput, match="checkpoint format 1; this version reads format 2"):
        run.latest()


def nothing(*_arguments: Any, **_options: Any) -> None:
    pass


MUTANTS: dict[str, tuple[Callable[..., Path], str]] = {
    "hashes are not compared": (damaged_checkpoints._member_of_another, "sparring.runs.checkpoint._require_sound"),
    "the log is not compared": (damaged_checkpoints._damage_the_log, "sparring.runs.folder.require_start"),
}
"""What is left out, and the damage that a trial of promise 3 must then use."""


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_trial_notices_what_is_left_out(mutant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damage, check = MUTANTS[mutant]
    index = damaged_checkpoints.DAMAGES.index(damage)
    monkeypatch.setattr(check, nothing)
    assert fails(damaged_checkpoints.PROMISE, index, tmp_path)
    monkeypatch.undo()
    assert not fails(damaged_checkpoints.PROMISE, index, tmp_path)


def fails(promise: Promise, index: int, shared: Path) -> bool:
    try:
        promise.attempt(index, seed=0, shared=shared)
    except Exception:
        return True
    return False
