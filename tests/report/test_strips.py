"""What a page shows of D: strips of pictures, charts and attack endurance."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from report_pages import Page, pixels_of
from sparring.recipes import Recipe
from sparring.report import report_run, report_runs
from sparring.report.read import read_run
from sparring.report.strips import first_and_last, histogram, probe_strips
from sparring.runs.folder import RunFolder
from sparring.training.loop import train

IMAGES = (
    "data=digits",
    "generator={name: mnist, latent: 8, width: 4}",
    "discriminator={name: mnist, width: 4}",
    "regime=symmetric",
    "steps=6",
    "log_every=2",
    "sample_every=3",
    "evaluate_every=3",
)


@pytest.fixture
def run(short: Callable[..., Recipe], tmp_path: Path, no_metrics: None) -> RunFolder:
    """A run of AS-GAN on the digits."""
    train(short(*IMAGES), tmp_path / "run", device="cpu")
    return RunFolder.open(tmp_path / "run")


def test_every_figure_of_d_is_on_the_page_pictures_first(run: RunFolder) -> None:
    page = Page(report_run(run))
    titles = (
        "Mean output of D", "What D's gradient shows", "Adversarial samples of D, round 6", "Between latents, round 6",
        "Attack endurance of D", "Payoffs", "D under one fixed attack",
        "Input gradient of D: L1 norm", "Input gradient of D: sparsity", "Entries of D's input gradients",
        "Size of the training attacks", "Final numbers",
    )  # fmt: skip
    places = [page.text.find(title) for title in titles]
    assert -1 not in places and places == sorted(places)
    labels = ("gradient, round 0", "gradient, round 6", "on real, attacked", "D, under attack", "37.36", "7.44")
    assert all(label in page.text for label in (*labels, "D in numbers"))
    assert page.text.count("1/255 (0.00392 of [0, 1], 0.00784 of [-1, 1])") >= 4
    assert "critic" not in page.text.split("Final numbers")[0].lower()


def test_the_pictures_are_those_of_the_file(run: RunFolder) -> None:
    gradients, adversaries, _between = probe_strips(read_run(run))
    with np.load(run.probes / "000000006.npz") as file:
        arrays = {name: file[name][0] for name in file.files}
    for strip, images in (
        (gradients.strips[0], arrays["real"][:, 0]),
        (gradients.strips[2], arrays["gradient"]),
        (adversaries.strips[1], arrays["adversarial"][:, 0]),
        (adversaries.strips[2], arrays["perturbation"][:, 0].astype(int) + 128),
    ):
        assert np.array_equal(pixels_of(strip), images)
    assert adversaries.strips[0].notes == tuple(f"{value:.3f}" for value in arrays["d_real"])
    (line, newest) = histogram(read_run(run), "x")[0].curves
    for drawn in (line, newest):  # whatever the bins, the area is that of all entries
        assert drawn.values.sum() * np.diff(drawn.steps).mean() == pytest.approx(1)
    assert line.label == "round 0"
    sizes = [0.000226, 0.00999, 0.0209, 0.3123, 1.2345, 123.4, 0.0, 1.0]
    with np.load(run.probes / "000000006.npz") as file:
        np.savez(run.probes / "000000006.npz", **{**file, "gradient_top": [sizes]})
    notes = probe_strips(read_run(run))[0].strips[2].notes
    assert notes == ("2.3e−4", "1.0e−2", "0.0209", "0.312", "1.23", "123", "0", "1")  # short: 44 pixels on a telephone


@pytest.mark.usefixtures("undrawn")
def test_a_damaged_file_is_passed_over(run: RunFolder) -> None:
    files = sorted(run.probes.iterdir())
    files[-1].write_bytes(files[-1].read_bytes()[:200])
    assert [step for step, _ in first_and_last(read_run(run))] == [0, 3]
    files[0].write_bytes(b"nothing")
    assert [step for step, _ in first_and_last(read_run(run))] == [3]
    assert "Between latents, round 3" in Page(report_run(run)).text
    files[1].unlink()
    assert "Between latents" not in Page(report_run(run)).text


@pytest.mark.usefixtures("undrawn")
def test_runs_are_shown_side_by_side(run: RunFolder, short: Callable[..., Recipe], tmp_path: Path) -> None:
    train(short(*IMAGES, "regime=plain"), tmp_path / "plain", device="cpu")
    page = Page(report_runs([run, RunFolder.open(tmp_path / "plain")], tmp_path / "both.html", title="two"))
    assert "run 1: run" in page.text and "run 2: plain" in page.text
    assert page.text.count("Attack endurance of D") == 2
    assert page.text.count("Size of the training attacks") == 1
    alone = Page(report_runs([run], tmp_path / "one.html", title="one"))
    assert "run by run" not in alone.text


def test_the_critic_is_drawn_with_the_exact_distance_of_points(short: Callable[..., Recipe], tmp_path: Path) -> None:
    keys = ("evaluate_every=10", "steps=20", "replicas=2")
    train(short(*keys, "objective=wasserstein", "regime=mixed"), tmp_path / "critic", device="cpu")
    page = Page(report_run(RunFolder.open(tmp_path / "critic")))
    assert "The critic's estimate of the Wasserstein distance" in page.text
    assert "exact Wasserstein-1" in page.source and "Euclidean size (units of the data)" in page.source
    assert "Attack endurance" not in page.text and "Between latents" not in page.text
    assert "sigmoid of the" in page.source and "probability of real" not in page.source
    train(short(*keys), tmp_path / "plain", device="cpu")
    page = Page(report_run(RunFolder.open(tmp_path / "plain")))
    assert len(page.named("svg")) == 10
    assert "D(x), probability" in page.source
    assert not re.search("critic's estimate of|under one fixed attack|training attacks", page.text)
    assert "Exact Wasserstein-1 distance of the same samples" in page.text
