"""A run as one object."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import sparring
from sparring.recipes import Recipe
from sparring.training.loop import train


@pytest.mark.parametrize("game", [None, 1])
def test_networks_are_in_eval_mode(game: int | None, short: Callable[..., Recipe], run_path: Path) -> None:
    train(short("replicas=2", "steps=2"), run_path, device="cpu")
    run = sparring.load(run_path, game=game)
    assert not run.generator.training
    assert not run.discriminator.training
