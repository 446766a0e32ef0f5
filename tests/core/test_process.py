"""The rank of a process, from the environment that `torchrun` makes."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sparring.core.distributed import process_group
from sparring.core.errors import UsageError
from sparring.core.process import process_count, rank


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, (1, 0)),
        ({"WORLD_SIZE": "", "RANK": ""}, (1, 0)),
        ({"RANK": "1"}, (1, 0)),
        ({"WORLD_SIZE": "1", "RANK": "0"}, (1, 0)),
        ({"WORLD_SIZE": "4", "RANK": "3"}, (4, 3)),
    ],
    ids=str,
)
def test_a_process_is_one_of_several_if_their_number_is_given(
    environment: Mapping[str, str], expected: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert (process_count(), rank()) == expected


def test_a_number_of_processes_without_their_ranks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match="WORLD_SIZE=2 without the ranks"), process_group("cpu"):
        pass
