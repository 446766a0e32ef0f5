"""A checkpoint that does not fit its run is refused, and nothing in it is run."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sparring.core.errors import CorruptInput
from sparring.recipes import Recipe
from sparring.runs.checkpoint import MANIFEST, STATE, TENSORS, Checkpoint, read_checkpoint, write_checkpoint
from sparring.runs.folder import RunFolder
from sparring.training.loop import resume, train

WEIGHT = "players/generator.layers.layers.0.weight"
State = dict[str, Tensor]
CHANGES: dict[str, tuple[Callable[[State], State], str]] = {
    "missing": (lambda state: {name: tensor for name, tensor in state.items() if name != WEIGHT}, "is missing"),
    "unknown": (lambda state: state | {"players/generator.more": torch.zeros(1)}, "is not of this recipe"),
    "of another shape": (lambda state: state | {WEIGHT: state[WEIGHT][:1]}, "belongs"),
    "of another type": (lambda state: state | {WEIGHT: state[WEIGHT].double()}, "belongs"),
}


@pytest.fixture
def run(short: Callable[..., Recipe], run_path: Path) -> RunFolder:
    """A run with one checkpoint, so that there is nothing to fall back to."""
    train(short("steps=1"), run_path, device="cpu")
    return RunFolder.open(run_path)


@pytest.mark.parametrize("change", CHANGES)
def test_tensors_that_do_not_fit_are_refused(change: str, run: RunFolder) -> None:
    folder, (alter, message) = run.saved()[-1], CHANGES[change]
    checkpoint = read_checkpoint(folder)
    for name in (TENSORS, STATE, MANIFEST):
        (folder / name).unlink()
    folder.rmdir()
    write_checkpoint(folder, Checkpoint(alter(checkpoint.tensors), checkpoint.state))
    with pytest.raises(CorruptInput, match=message) as caught:
        resume(run.path, device="cpu")
    assert caught.value.exit_code == 4


class _Payload:
    """An object that leaves a file behind when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._canary,)


def test_a_pickle_in_the_place_of_tensors_is_not_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = pickle.dumps(_Payload(tmp_path / "canary"))
    monkeypatch.setattr("sparring.runs.checkpoint.save", lambda _tensors: content)
    write_checkpoint(tmp_path / "1", Checkpoint({}, {}))
    with pytest.raises(CorruptInput, match="not a safetensors file"):
        read_checkpoint(tmp_path / "1")
    assert not (tmp_path / "canary").exists()
