"""A parsed page, and the small runs that the tests of reports look at."""

from __future__ import annotations

import base64
import io
import shutil
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from new_run import new_run
from sparring.monitoring.pictures import png_grid
from sparring.recipes import load
from sparring.report import report_run, report_runs
from sparring.report.strips import Strip
from sparring.runs.folder import RunFolder
from sparring.runs.schema import Summary
from sparring.training.loop import train

SHORT = ["steps=6", "replicas=2", "log_every=2", "sample_every=3", "evaluate_every=3", "batch_size=16"]
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}\"'&amp;$\\frac{$-->]]>"
HARMLESS = "x" * len(HOSTILE)


class Page(HTMLParser):
    """The structure of a page: every tag with its attributes, and every script and visible text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.text = ""
        self._inside = ""
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        else:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element with this tag."""
        return [attributes for name, attributes in self.tags if name == tag]

    def classed(self, name: str) -> list[dict[str, str | None]]:
        """The attributes of every element with this class."""
        return [found for _, found in self.tags if name in (found.get("class") or "").split()]

    @property
    def ids(self) -> list[str]:
        """Every id."""
        return [found["id"] for _, found in self.tags if found.get("id")]

    @property
    def structure(self) -> list[tuple[str, tuple[str, ...]]]:
        """Tags with the names of their attributes."""
        return [(tag, tuple(attributes)) for tag, attributes in self.tags]


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    path = tmp_path_factory.mktemp("ring") / "run"
    train(load("dishonest/ring-small", SHORT), path, device="cpu")
    return RunFolder.open(path)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    path = tmp_path_factory.mktemp("digits") / "run"
    train(load("dishonest/digits", [*SHORT, "evaluate_every=0"]), path, device="cpu")
    run = RunFolder.open(path)
    numbers = {"classes": [7.0, 10.0], "total_variation": [0.4, 0.1], "recognisable": [0.6, 0.9]}
    run.append_row({"step": 6} | numbers | {"success": [0.0, 1.0]})
    return run


@pytest.fixture(scope="module")
def ring_page(ring: RunFolder) -> Page:
    return Page(report_run(ring))


@pytest.fixture(scope="module")
def digits_page(digits: RunFolder) -> Page:
    return Page(report_run(digits))


@pytest.fixture(scope="module")
def both_page(ring: RunFolder, digits: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(report_runs([ring, digits], tmp_path_factory.mktemp("both") / "report.html", title="two"))


def pixels_of(strip: Strip) -> npt.NDArray[Any]:
    """The pixels of a strip's 8 x 8 pictures, `(n, 8, 8)`: each is drawn eight times as large, within a frame."""
    drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(strip.image.split(",")[1]))))
    return drawn.reshape(66, -1, 66).transpose(1, 0, 2)[:, 1:-1:8, 1:-1:8]


def copied(run: RunFolder, path: Path) -> RunFolder:
    shutil.copytree(run.path, path)
    return RunFolder.open(path)


def played(path: Path, overrides: list[str], wins: int, games: int = 3, status: str = "complete") -> RunFolder:
    """A run folder as the engine leaves it, without playing: `wins` of `games` end with all modes."""
    recipe = load("dishonest/ring-small", [f"replicas={games}", "steps=200", *overrides])
    run = new_run(path, recipe, {"device": "cpu (test)"})
    for step in (100, 200):
        success = [float(game < wins and step == 200) for game in range(games)]
        run.append_row({"step": step, "d_real": [0.7] * games, "d_fake": [0.2] * games, "success": success})
        modes = [8.0 if won else 3.0 for won in success]
        run.append_row({"step": step, "modes": modes})
    run.write_summary(Summary(status=status, steps=200, seconds=1234.5, metrics={}))
    return run


def pictured(path: Path, side: int, *overrides: str) -> RunFolder:
    """A run on images of a side as the engine leaves it, without training: noise in samples/ and probes/."""
    run = new_run(path, load("robgan/digits", ["steps=200", *overrides]))
    draw_pictures(run, side)
    return run


def measured(run: RunFolder, verdict: str) -> RunFolder:
    """The run with the numbers of two measurements, and a summary with a verdict."""
    games = run.recipe().replicas
    for step in (100, 200):
        numbers = {"classes": 7.0, "classes_live": 9.0, "frechet_distance": 400.0 - step, "frechet_floor": 1.1}
        numbers |= {"robust_accuracy_test": 0.4, "robust_accuracy_train": 0.6, "d_real": 0.7, "d_fake": 0.2}
        run.append_row({"step": step} | {name: [each] * games if games > 1 else each for name, each in numbers.items()})
    run.write_summary(Summary(status="complete", steps=200, seconds=73.0, verdict=verdict, metrics={}))
    return run


def draw_pictures(run: RunFolder, side: int) -> None:
    """Write noise of this side into samples/ and probes/ of a run: grey up to 28 pixels, else in colour."""
    random, channels, games = np.random.default_rng(side), 1 if side <= 28 else 3, run.recipe().replicas
    run.probes.mkdir()
    for step in (0, 200):
        pixels = torch.rand((64 // games * games, channels, side, side), generator=torch.Generator().manual_seed(step))
        (run.samples / f"{step:09d}.png").write_bytes(png_grid(2 * pixels - 1))
        if step:
            (run.samples / f"{step:09d}.live.png").write_bytes(png_grid(1 - 2 * pixels))
        noise = partial(random.integers, 0, 256, dtype=np.uint8)
        arrays = {
            "real": noise((games, 8, channels, side, side)), "adversarial": noise((games, 8, channels, side, side)),
            "perturbation": noise((games, 8, channels, side, side)).astype(np.int8),
            "gradient": noise((games, 8, side, side)), "between": noise((games, 4, 8, channels, side, side)),
            "gradient_top": random.random((games, 8)), "d_real": random.random((games, 8)),
            "d_adversarial": random.random((games, 8)), "counts": random.integers(1, 9, (games, 5)),
            "edges": np.tile(np.linspace(-1, 1, 6), (games, 1)),
        }  # fmt: skip
        np.savez(run.probes / f"{step:09d}.npz", **arrays)


def plane_of(games: int) -> dict[str, npt.NDArray[Any]]:
    """The arrays of samples/STEP.npz of a plane: points around its centre, of which some are far outside."""
    points = np.random.default_rng(0).normal(size=(games, 64, 2)).astype(np.float32)
    points[:, :9] = 99.0
    return {"points": points, "landscape": np.full((games, 64, 64), 0.5, np.float16), "extent": np.array(2.5)}
