"""A few trials of every promise of reliability; `make torture` runs many."""

from __future__ import annotations

from pathlib import Path

import pytest

from torture.promise import Promise, promises

TRIALS = [
    pytest.param(promise, index, id=f"{promise.number}-{index}")
    for promise in promises()
    for index in range(promise.quick)
]


@pytest.mark.parametrize(("promise", "index"), TRIALS)
def test_promise(promise: Promise, index: int, shared: Path) -> None:
    promise.attempt(index, seed=0, shared=shared)
