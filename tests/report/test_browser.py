"""What a browser shows of a page: every picture, on pages of every kind and with images of every size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from browser import NATURAL_WIDTHS, browser, seen
from evaluations import target, write_evaluation
from new_run import new_run
from report_pages import Page, draw_pictures, measured, pictured, plane_of, played
from sparring.recipes import load
from sparring.report import report_folder, report_run, report_runs
from sparring.runs.folder import RunFolder
from sparring.sweeps.sweep_folder import SweepFolder

SIDES = (28, 32, 64)
"""Of images, in pixels."""


def pages_with_pictures(folder: Path) -> dict[str, Path]:
    """A page of every kind, with images of every size."""
    runs = [pictured(folder / f"runs/{side}", side, f"replicas={1 + (side == 32)}") for side in SIDES]
    pages = {"several runs": report_runs(runs, folder / "runs/report.html", title="several")}
    pages |= {f"run {run.path.name}": report_run(run) for run in runs}
    classifier = new_run(folder / "classifier", load("robgan/digits-adversarial-training"))
    write_evaluation(classifier.path, *map(target, ("small", "middle", "large")), sides=SIDES)
    (folder / "model").mkdir()
    write_evaluation(folder / "model", target("models:resnet"), step=None, sides=SIDES[-1:])
    pages |= {"classifier": report_run(classifier), "model": report_folder(folder / "model")}
    sweep = SweepFolder.create(folder / "sweep", "robgan/digits", [f"batch_size={','.join(map(str, SIDES))}"], 3)
    for pack, side in zip(sweep.packs, SIDES, strict=True):
        with RunFolder.created(sweep.folder(pack).path, pack.recipe, {}) as run:
            draw_pictures(run, side)
    return pages | {"sweep": report_folder(sweep.path)}


FIRST_SCREEN = """(page, window) => {
  const shown = (each) => each.getBoundingClientRect().width > 0;
  const all = (what) => [...page.querySelectorAll(what)].filter(shown);
  const parts = ["img", ".verdict", ":is(.chart, .map)"].map((part) => all(`.first ${part}`));
  const boxes = all(".first svg text, .first .panel figcaption, .first .notes, .first .verdict, .first .controls")
    .map((each) => [each.textContent.trim(), each.getBoundingClientRect()]);
  const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  return {
    counts: parts.map((part) => part.length),
    low: Math.max(...parts.flat().map((each) => each.getBoundingClientRect().bottom)),
    isWide: page.documentElement.scrollWidth > window.innerWidth,
    overlaps: boxes.flatMap(([a, first], at) => boxes.slice(at + 1)
      .filter(([, second]) => meet(first, second)).map(([b]) => [a, b])),
  };
}"""
"""How many pictures, verdicts and charts there are, how low the lowest ends, and which texts overlap."""
VERDICT = "D collapsed in 2 of 2 games (payoffs, or D itself, are flat at D's scores); 0 % are near a mode."

KEPT = (
    "The classifier keeps 61.5 % under every one of 7 attacks at 8/255 (L-infinity) on 500 held-out images; "
    "96.8 % without attack."
)


def first_screens(folder: Path) -> dict[str, Path]:
    """A page of every kind, with the words that runs have."""
    single = measured(pictured(folder / "single", 8), "G draws 7 of 10 classes; Frechet 41.3 against a floor of 1.1.")
    several = measured(pictured(folder / "several", 28, "replicas=2"), VERDICT)
    points = played(folder / "points", [], wins=1, games=5)
    np.savez(points.samples / "000000200.npz", **plane_of(5))
    (folder / "model").mkdir()
    write_evaluation(folder / "model", target("models:resnet", verdict=KEPT), step=None)
    classifier = new_run(folder / "classifier", load("robgan/digits-adversarial-training"))
    write_evaluation(classifier.path, target(verdict=KEPT))
    runs = [played(folder / f"runs/{name}", [f"objective={name}"], wins=1) for name in ("log", "linear")]
    pages = {run.path.name: report_run(run) for run in (single, several, points, classifier)}
    pages["runs"] = report_runs(runs, folder / "runs/report.html", title="two")
    return pages | {"model": report_folder(folder / "model")}


@pytest.mark.skipif(not browser(), reason="no browser here")
def test_pictures_verdict_and_charts_are_on_the_first_screen_and_no_words_overlap(tmp_path: Path) -> None:
    windows = ((1200, 900), (420, 900))
    for name, screens in seen(first_screens(tmp_path), FIRST_SCREEN, tmp_path, windows).items():
        for (_, height), found in zip(windows, screens, strict=True):
            pictures, verdicts, charts = found["counts"]
            assert (pictures > 0 or name == "runs") and verdicts == 1 and charts in (1, 2), name
            assert found["low"] <= height and not found["isWide"] and not found["overlaps"], (name, found)


@pytest.mark.usefixtures("undrawn")
def test_what_is_left_under_attack_comes_first(tmp_path: Path) -> None:
    classifier = new_run(tmp_path / "classifier", load("robgan/digits-adversarial-training"))
    write_evaluation(classifier.path, target(verdict=KEPT))
    page = Page(report_run(classifier))
    assert page.text.index(KEPT) < page.text.index("clean accuracy") and len(page.classed("verdict")) == 1


@pytest.mark.usefixtures("undrawn")
def test_classes_have_names_and_g_itself_is_beside_its_mean(tmp_path: Path) -> None:
    page = Page(report_run(measured(pictured(tmp_path / "run", 8), "G draws.")))
    first, last = page.text.split("running mean")[0], page.text.split("running mean")[1]
    assert first.split()[-1] == "0123456789" and "G itself" not in first
    assert last.split()[:2] == ["7", "classes"] and "G itself9 classes" in last.replace("\n", "")
    assert page.text.count("G draws.") == 1
    assert len(page.classed("crisp")) == len(page.named("img"))


@pytest.mark.usefixtures("undrawn")
def test_alarms_that_hold_are_beside_the_verdict_and_those_that_ended_below(tmp_path: Path) -> None:
    run = pictured(tmp_path / "run", 8)
    well = {"collapse_slope_generator": 1.0, "collapse_slope_discriminator": 1.0, "collapse_steepness": 1.0}
    flat = {"collapse_slope_generator": 0.0}
    for step, numbers in enumerate((well, well | flat, well | flat, well, well), start=1):
        run.append_row({"step": step} | numbers)
    page = Page(report_run(run))
    assert "Alarm:" not in page.text and not page.classed("alarms")
    assert "saturated discriminator (round" in page.text.split("Settings")[1]
    run.append_row({"step": 6} | well | flat)
    run.append_row({"step": 7} | well | flat)
    before, after = Page(report_run(run)).text.split("What D sees")
    assert "Alarm: saturated discriminator since round" in before and "then no more" in after


@pytest.mark.usefixtures("undrawn")
@pytest.mark.skipif(not browser(), reason="no browser here")
def test_every_picture_of_every_page_is_shown(tmp_path: Path) -> None:
    found = seen(pages_with_pictures(tmp_path), NATURAL_WIDTHS, tmp_path)
    assert len(found) == 4 + len(SIDES)
    assert all(len(widths) >= 6 for (widths,) in found.values())
    assert [name for name, (widths,) in found.items() if not all(widths)] == []
