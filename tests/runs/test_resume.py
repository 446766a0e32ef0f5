"""What the promises of kills compare is all there is; and what a killed or stopped process leaves behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import torch

from sparring.classifier.step import train_step
from sparring.core.randomness import Rng, Streams
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.runs.folder import RunFolder
from sparring.training.load import new_state
from torture.games import GAMES, KINDS, fingerprint, play, recipe_of
from torture.mutants import ITEMS, NOT_DRAWN, STREAMS

PICTURES = {"samples": "png", "probes": "npz"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_item_of_state_has_a_mutant(kind: str, shared: Path) -> None:
    training = new_state(recipe_of(kind, shared), torch.device("cpu"))
    if isinstance(training, GANState):
        play_round(training, 0)
    else:
        train_step(training, 0)
    alike = [known for known in ITEMS if (known in GAMES) == isinstance(training, GANState)]
    patterns = [pattern for known in alike for pattern in ITEMS[known]]
    patterns.append("diverged")  # empty in a game that does not diverge; gan/test_packing.py resumes one that does
    assert not [name for name in training.state() if not any(re.fullmatch(pattern, name) for pattern in patterns)]


@pytest.fixture
def counted() -> Iterator[set[str]]:
    """The names of streams that are asked for with a number."""
    names, rng = set[str](), Streams.rng

    def note(self: Streams, name: str, number: int = 0) -> Rng:
        if number:
            names.add(name)
        return rng(self, name, number)

    with mock.patch.object(Streams, "rng", note):
        yield names


@pytest.mark.parametrize("kind", [*STREAMS, "classes"])
def test_every_stream_that_is_counted_has_a_mutant(kind: str, shared: Path, tmp_path: Path, counted: set[str]) -> None:
    play(recipe_of(kind, shared), tmp_path / "run")
    known = {name for names in STREAMS.values() for name in names}
    training_of_the_extractor = {"schooling"}
    assert set(STREAMS.get(kind, ())) <= counted <= known | set(NOT_DRAWN) | training_of_the_extractor


def test_what_is_compared_is_the_whole_run(shared: Path, tmp_path: Path) -> None:
    play(recipe_of("images", shared), tmp_path / "run")
    names = fingerprint(tmp_path / "run").keys()
    assert {f"{folder}/{name:09d}.{kind}" for name in (0, 9, 18, 24) for folder, kind in PICTURES.items()} <= names
    assert {"metrics.jsonl", "recipe.yaml", "summary metrics", "summary status", "state step"} <= names
    assert sum(name.startswith("tensor optimizer.") for name in names) > 20
    rows = RunFolder.open(tmp_path / "run").rows()
    assert any("probe_d_adversarial" in row for row in rows)
    with open(tmp_path / "run" / "samples" / "more.png", "wb"):
        pass
    assert "samples/more.png" in fingerprint(tmp_path / "run")
