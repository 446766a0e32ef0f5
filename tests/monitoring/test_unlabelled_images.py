"""Images without labels and without weights of a network, as CelebA's and LSUN's, have a measure of G."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_layouts import photo, write_folder

Command = Callable[..., Any]
KEYS = [
    "generator.width=2", "discriminator.width=2", "batch_size=8", "steps=4", "log_every=2", "sample_every=0",
    "checkpoint_every=4", "evaluate_every=2",
]  # fmt: skip


@pytest.mark.parametrize("recipe", ["asgan/celeba-dcgan", "asgan/lsun-resnet"])
def test_a_folder_of_pictures_is_measured(recipe: str, sparring: Command, tmp_path: Path) -> None:
    pictures = {f"{index:03}.png": photo(index, size=(20, 18), format="PNG") for index in range(40)}
    folder, store, run = write_folder(tmp_path / "faces", pictures), tmp_path / "store", tmp_path / "run"
    assert sparring("data", "prepare", folder, "--size", 16, "--test-fraction", 0, "--out", store).code == 0
    trained = sparring("train", recipe, f"data.path={store}", *KEYS, "--out", run)
    assert trained.code == 0 and "images of fewer than two classes have no classifier" in trained.err
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    measured = [row["sliced_wasserstein"] for row in rows if "sliced_wasserstein" in row]
    assert len(measured) == 2 and all(np.isfinite(measured))
    summary = json.loads((run / "summary.json").read_text())["metrics"]
    distance, floor = summary["sliced_wasserstein"], summary["sliced_wasserstein_floor"]
    assert distance["value"] == measured[-1] > 1.3 * floor["value"], "a generator of four rounds"
    assert "20 generated against 20 real images" in distance["protocol"]
    assert "Sliced Wasserstein distance" in (run / "report.html").read_text()
    found = json.loads(sparring("evaluate", run, "--samples", 30, "--json").out)
    assert {"sliced_wasserstein", "sliced_wasserstein_floor"} <= found["metrics"].keys()
    assert any("name another extractor" in problem for problem in found["problems"])
