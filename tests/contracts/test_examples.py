"""The examples and the code in the documents run as they stand."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from sparring.core.pieces import import_object
from sparring.recipes import load
from sparring.testing import check
from sparring.training.loop import train

ROOT = Path(__file__).parents[2]


def test_the_plain_loop_learns() -> None:
    found = runpy.run_path(str(ROOT / "examples" / "plain_loop.py"))["main"](rounds=3000)
    assert found["modes"] >= 4


def test_data_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    check(import_object("own_data:Moons")())
    overrides = ["data=own_data:Moons", "steps=3", "replicas=2", "evaluate_every=3", "sample_every=3"]
    summary = train(load("dishonest/ring-small", overrides), tmp_path / "run", device="cpu")
    assert {"wasserstein2", "wasserstein2_floor", "wasserstein1"} <= set(summary.metrics)
    assert "modes" not in summary.metrics
    assert summary.recipe["data"]["name"] == "own_data:Moons"


def test_an_attack_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    check(import_object("own_attack:Momentum")())
    overrides = ["regime=symmetric", "regime.attack=own_attack:Momentum", "steps=2", "replicas=2", "sample_every=0"]
    summary = train(load("dishonest/ring-small", [*overrides, "evaluate_every=0"]), tmp_path / "run", device="cpu")
    assert summary.recipe["regime"]["attack"]["name"] == "own_attack:Momentum"


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "README.md"])
def test_the_code_in_a_document_runs(document: str, tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / document).read_text(), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        # A process of its own: what the block registers stays out of the other tests.
        subprocess.run([sys.executable, "-c", block], check=True, cwd=tmp_path)
