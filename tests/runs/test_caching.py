"""The cache folder: the entry that was kept first is used by all processes, and errors of the cache stop no run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sparring.core.errors import StorageError
from sparring.runs.caching import cached, entry
from sparring.runs.checkpoint import Checkpoint, read_checkpoint, write_checkpoint


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An entry in a cache folder of this test."""
    monkeypatch.setenv("SPARRING_CACHE", str(tmp_path / "cache"))
    return entry("numbers", "key")


def number(value: int) -> Checkpoint:
    return Checkpoint({"value": torch.tensor(value)}, {})


def value_of(saved: Checkpoint) -> int:
    return int(saved.tensors["value"])


def test_an_entry_is_made_once(path: Path) -> None:
    assert [cached(path, lambda made=made: number(made), value_of) for made in (1, 2)] == [1, 1]
    assert cached(None, lambda: number(3), value_of) == 3


def test_who_comes_second_uses_what_the_first_has_kept(path: Path) -> None:
    def make() -> Checkpoint:
        write_checkpoint(path, number(1))  # another process, faster by a moment
        return number(2)

    assert cached(path, make, value_of) == 1
    assert cached(path, lambda: number(3), value_of) == 1


def test_a_cache_that_is_no_folder_costs_time_only(path: Path) -> None:
    path.parent.parent.write_text("a file where the cache should be")
    assert cached(path, lambda: number(2), value_of) == 2


def test_an_entry_that_may_not_be_read_is_made_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoint(path, number(1))

    def refused(_path: Path) -> bytes:
        raise StorageError("permission denied", "")

    monkeypatch.setattr("sparring.runs.checkpoint.read_file", refused)
    assert cached(path, lambda: number(2), value_of) == 2


def test_a_device_out_of_memory_is_no_fault_of_the_entry(path: Path) -> None:
    def full(saved: Checkpoint) -> int:
        raise torch.OutOfMemoryError(f"no room for {len(saved.tensors)}")

    write_checkpoint(path, number(1))
    with pytest.raises(torch.OutOfMemoryError):
        cached(path, lambda: number(2), full)
    assert value_of(read_checkpoint(path)) == 1
