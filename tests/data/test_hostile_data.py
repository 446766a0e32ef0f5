"""The trials of data from strangers can fail: each guard is taken away once, and its kind of data gets through."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from torture.hostile_data import PROMISE
from torture.payloads import CASES


def _unpickled(file: Path) -> bool:
    return bool(pickle.loads(file.read_bytes()))


def _as_it_is(text: str, _longest: int = 0) -> str:
    return text


def _nothing(*_: Any, **__: Any) -> tuple[()]:
    return ()


def _a_file(*_: Any) -> str:
    return "file"


@pytest.mark.parametrize(
    ("case", "guards", "instead"),
    [
        ("image: a bomb of pixels", ["data.sources.images.MEMORY"], 2**40),
        ("image: of another format", ["data.sources.images.FORMATS"], None),
        ("image: markup, scripts and noise", ["files._erase"], _nothing),
        ("folder: a link to a file", ["data.sources.tree.Tree._kind_of_link"], _a_file),
        ("folder: names of broken images", ["errors.escaped", "data.faults.escaped", "errors.printable"], _as_it_is),
        ("CIFAR's pickles", ["data.sources.refusals._is_pickle"], _unpickled),
        ("store: labels beyond the classes", ["data.store._check_labels"], _nothing),
    ],
)
def test_without_its_guard_a_trial_fails(
    case: str, guards: list[str], instead: Callable[..., Any] | int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = next(index for index, each in enumerate(CASES) if each.name == case)
    PROMISE.attempt(index, seed=0, shared=tmp_path)
    for guard in guards:
        monkeypatch.setattr(f"sparring.{guard}", instead)
    with pytest.raises(AssertionError):
        PROMISE.attempt(index, seed=0, shared=tmp_path)
