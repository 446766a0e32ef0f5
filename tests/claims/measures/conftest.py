"""A short run of Rob-GAN on the digits, for measures of networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparring.claims.values import PlayedGame
from sparring.recipes import load
from sparring.report.read import read_run
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

SMALL = ["generator.hidden=[16]", "discriminator.hidden=[32]", "steps=40", "checkpoint_every=40", "sample_every=0"]


@pytest.fixture(scope="session")
def robgan_games(tmp_path_factory: pytest.TempPathFactory) -> tuple[PlayedGame, PlayedGame]:
    """Two packed games of 40 rounds."""
    path = tmp_path_factory.mktemp("robgan") / "run"
    train(load("robgan/digits", [*SMALL, "replicas=2", "seed=7", "evaluate_every=0"]), path, device="cpu")
    run = read_run(RunFolder.open(path))
    return PlayedGame(7, run, 0), PlayedGame(8, run, 1)


@pytest.fixture(scope="session")
def trained_classifier(tmp_path_factory: pytest.TempPathFactory) -> PlayedGame:
    """A classifier after 40 rounds of adversarial training."""
    path: Path = tmp_path_factory.mktemp("classifier") / "run"
    keys = ["classifier.discriminator.hidden=[32]", "steps=40", "checkpoint_every=40", "evaluate_every=10", "seed=7"]
    train(load("robgan/digits-adversarial-training", keys), path, device="cpu")
    return PlayedGame(7, read_run(RunFolder.open(path)))
