"""What runs have in common when they are compared: data seen and sizes of networks."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from report_pages import Page
from sparring.recipes import Recipe, load
from sparring.report import report_runs
from sparring.runs.folder import RunFolder
from sparring.training.loop import train


def dense(*widths: int) -> int:
    """Weights and biases of dense layers."""
    return sum(a * b + b for a, b in itertools.pairwise(widths))


@pytest.mark.parametrize("replicas", [1, 3])
def test_images_and_parameters_are_those_of_one_game(
    replicas: int, short: Callable[..., Recipe], run_path: Path
) -> None:
    keys = ["steps=4", "critic_steps=3", "batch_size=8", f"replicas={replicas}", "ema=0.9"]
    summary = train(short(*keys), run_path, device="cpu")
    assert summary.images == 4 * 3 * 8 and summary.epochs is None
    assert summary.parameters == {"generator": dense(8, 16, 16, 2), "discriminator": dense(2, 16, 16, 1)}


def test_a_page_of_several_runs_shows_them(short: Callable[..., Recipe], tmp_path: Path, no_metrics: None) -> None:
    digits = ["data=digits", "steps=10", "batch_size=64"]
    game = train(short(*digits), tmp_path / "game", device="cpu")
    keys = ["steps=2", "batch_size=50", "evaluate_every=0", "classifier={name: small_cnn, width: 2}"]
    classifier = train(load("robgan/digits-classifier", keys), tmp_path / "classifier", device="cpu")
    assert classifier.images == 100 and set(classifier.parameters) == {"classifier"}
    assert game.epochs is not None and classifier.epochs is not None
    assert game.epochs / classifier.epochs == pytest.approx(640 / 100)  # of the same training split
    runs = [RunFolder.open(tmp_path / name) for name in ("game", "classifier")]
    page = Page(report_runs(runs, tmp_path / "report.html", title="two"))
    assert "real samples seen" in page.text
    for number in (640, 100, *game.parameters.values(), *classifier.parameters.values()):
        assert f"{number:,}" in page.text
