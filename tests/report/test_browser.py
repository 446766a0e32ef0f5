"""What a browser shows of a page: every picture, on pages of every kind and with images of every size."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser import NATURAL_WIDTHS, browser, seen
from evaluations import target, write_evaluation
from new_run import new_run
from report_pages import draw_pictures, pictured
from sparring.recipes import load
from sparring.report import report_folder, report_model, report_run, report_runs
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
    pages |= {"classifier": report_run(classifier), "model": report_model(folder / "model")}
    sweep = SweepFolder.create(folder / "sweep", "robgan/digits", [f"batch_size={','.join(map(str, SIDES))}"], 3)
    for pack, side in zip(sweep.packs, SIDES, strict=True):
        with RunFolder.created(sweep.folder(pack).path, pack.recipe, {}) as run:
            draw_pictures(run, side)
    return pages | {"sweep": report_folder(sweep.path)}


@pytest.mark.skipif(not browser(), reason="no browser here")
def test_every_picture_of_every_page_is_shown(tmp_path: Path) -> None:
    found = seen(pages_with_pictures(tmp_path), NATURAL_WIDTHS, tmp_path)
    assert len(found) == 4 + len(SIDES)
    assert all(len(widths) >= 6 for (widths,) in found.values())
    assert [name for name, (widths,) in found.items() if not all(widths)] == []
