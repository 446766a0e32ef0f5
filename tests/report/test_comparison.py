"""Pages of several runs: what differs, maps of successes, counts and intervals, and pages of every size."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from new_run import new_run
from report_pages import Page, copied, played
from sparring.core.errors import UsageError
from sparring.recipes import load
from sparring.report import report_run, report_runs
from sparring.report.comparison import differing
from sparring.report.overlays import ALL, Comparison, overlays
from sparring.report.read import read_run
from sparring.report.run_charts import charts
from sparring.report.sweep_map import success_sheets
from sparring.runs.folder import RunFolder


def grid(path: Path) -> list[RunFolder]:
    """Two objectives by two probabilities, and one of them under a stronger clip."""
    wins = {("log", 0.0): 3, ("log", 0.4): 0, ("linear", 0.0): 3, ("linear", 0.4): 2}
    runs = [
        played(path / f"{name}-{share}", [f"objective={name}", f"feedback.probability={share}"], count)
        for (name, share), count in wins.items()
    ]
    return [*runs, played(path / "strong", ["objective=log", "feedback.probability=0.4", "lipschitz.bound=0.05"], 1)]


def test_runs_are_compared_by_what_differs(tmp_path: Path) -> None:
    runs = [read_run(folder) for folder in grid(tmp_path)]
    assert list(differing(runs)) == ["objective", "feedback.probability", "lipschitz.bound"]
    sheet, _ = success_sheets(runs)
    assert (sheet.rows, sheet.columns) == (("linear", "log"), (0.0, 0.4))
    (weak, first), (strong, second) = sheet.maps
    assert (weak, strong) == ((("lipschitz.bound", 0.05),), (("lipschitz.bound", 0.1),))
    assert [[tile.shown for tile in row] for row in second] == [["3/3", "2/3"], ["3/3", "0/3"]]
    assert [[tile.shown for tile in row] for row in first] == [["", ""], ["", "1/3"]]


@pytest.mark.usefixtures("undrawn")
def test_what_trains_nothing_is_no_difference(tmp_path: Path) -> None:
    recipe = load("dishonest/ring-small", ["steps=6"])
    runs = [
        read_run(new_run(tmp_path / name, recipe.model_copy(update=keys)))
        for name, keys in {"a": {}, "b": {"planned_steps": None, "description": "another"}}.items()
    ]
    assert differing(runs) == {}


def test_the_page_of_runs_prints_counts_and_intervals(tmp_path: Path) -> None:
    folders = grid(tmp_path)
    page = Page(report_runs(folders, tmp_path / "new" / "report.html", title="A grid"))
    told = "9 of 15 games learned all 8 modes: every game in 2 runs, some games in 2 runs, no game in 1 run"
    assert f"{told} (objective log, feedback.probability 0.4, lipschitz.bound 0.1)." in page.text
    for count, interval in (("3/3", "[44 %, 100 %]"), ("2/3", "[21 %, 94 %]"), ("0/3", "[0 %, 56 %]")):
        assert f"{count}{interval}" in page.text
    assert page.text.count("no result") == 6
    assert "20 min 34 s" in page.text
    assert "200 (3 games)" in page.text
    assert len(page.classed("run")) == 5


def test_seeds_are_pooled_and_what_a_name_implies_is_no_difference(tmp_path: Path) -> None:
    folders = [
        played(tmp_path / "a", ["objective=log", "seed=0"], wins=1),
        played(tmp_path / "b", ["objective=log", "seed=10"], wins=3),
        played(tmp_path / "c", ["objective=piecewise_linear", "seed=0"], wins=2),
    ]
    runs = [read_run(folder) for folder in folders]
    assert list(differing(runs)) == ["objective", "seed"]
    ((_, tiles),) = success_sheets(runs)[0].maps
    assert [tile.shown for (tile,) in tiles] == ["4/6", "2/3"]


def test_a_combination_that_no_run_measured_makes_no_map(tmp_path: Path) -> None:
    folders = [
        *grid(tmp_path),
        played(tmp_path / "batch", ["objective=log", "feedback.probability=0.4", "batch_size=64"], 1),
        played(tmp_path / "none", ["objective=log", "feedback.probability=0.4", "steps=7"], 1),
    ]
    *runs, unmeasured = map(read_run, folders)
    sheets = success_sheets([*runs, replace(unmeasured, rows=())])
    assert [len(sheet.maps) for sheet in sheets] == [3, 3]
    assert success_sheets([replace(unmeasured, rows=())]) == ()


def test_what_follows_from_the_axes_makes_no_map_of_its_own(tmp_path: Path) -> None:
    runs = [
        read_run(played(tmp_path / f"{name}{share}", [f"objective={name}", f"feedback.probability={share}", more], 1))
        for name in ("log", "linear")
        for share, more in ((0.0, "batch_size=64"), (0.4, "batch_size=128"))
    ]
    assert "batch_size" in differing(runs)
    assert [given for given, _ in success_sheets(runs)[0].maps] == [()]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("count", [1, 2])
def test_runs_that_do_not_differ_have_a_page(tmp_path: Path, count: int) -> None:
    folders = [played(tmp_path / str(index), [], wins=1) for index in range(count)]
    page = Page(report_runs(folders, tmp_path / "report.html", title="same"))
    assert f"{count} of {3 * count} games" in page.text
    assert not page.classed("map")


@pytest.mark.usefixtures("undrawn")
def test_unlike_data_and_an_unreadable_run_share_a_page(ring: RunFolder, digits: RunFolder, tmp_path: Path) -> None:
    broken = copied(ring, tmp_path / "broken")
    broken.rows_path.write_text("{oops\n")
    page = Page(report_runs([ring, digits, broken], tmp_path / "report.html", title="mixed"))
    assert "cannot be read" in page.text
    assert "not JSON" in page.text
    assert len(page.classed("run")) == 2
    assert "Modes covered" in page.text
    assert "Classes covered" in page.text


@pytest.mark.usefixtures("undrawn")
def test_many_saved_rounds_are_thinned_to_the_budget(ring: RunFolder, tmp_path: Path) -> None:
    run = copied(ring, tmp_path / "run")
    for step in range(7, 107):
        shutil.copy(run.samples / "000000006.npz", run.samples / f"{step:09d}.npz")
    page = Page(report_run(run))
    steps = [int(found["data-step"] or 0) for found in page.classed("frame")]
    assert len(steps) == 41
    assert (steps[0], steps[-1]) == (0, 106)
    assert "41 of 103 saved rounds are shown." in page.text


@pytest.mark.usefixtures("undrawn")
def test_a_page_of_many_runs_is_compact(tmp_path: Path) -> None:
    folders = [played(tmp_path / f"{count:02d}", [f"batch_size={count + 1}"], wins=1, games=1) for count in range(9)]
    page = Page(report_runs(folders, tmp_path / "report.html", title="many"))
    assert len(page.named("svg")) == 1 + 9 * 2
    assert len(page.classed("run")) == 9


def test_runs_share_a_chart_while_their_lines_differ(tmp_path: Path) -> None:
    run = read_run(played(tmp_path / "run", [], wins=1))
    runs = [replace(run, recipe=run.recipe.model_copy(update={"batch_size": size})) for size in range(1, 16)]
    (chart,) = overlays(runs[:14], ALL).charts
    assert ">batch_size 14<" in chart.svg()
    assert overlays(runs, ALL).charts == ()
    with pytest.raises(UsageError, match="15 groups, and a chart has at most 14 different lines"):
        overlays(runs, Comparison(measures=("modes",)))


@pytest.mark.usefixtures("undrawn")
def test_a_damaged_picture_is_left_out(ring: RunFolder, tmp_path: Path) -> None:
    run = copied(ring, tmp_path / "run")
    (run.samples / "000000003.npz").write_bytes(b"PK\x03\x04 cut")
    assert [found["data-step"] for found in Page(report_run(run)).classed("frame")] == ["0", "6"]


def test_an_unbiased_distance_may_fall_below_zero(tmp_path: Path) -> None:
    for name, starts in (("kernel_distance", None), ("frechet_distance", 0.0)):
        run = new_run(tmp_path / name, load("dishonest/digits", ["replicas=1"]))
        run.append_row({"step": 100, name: -0.002})
        own, *_ = charts(read_run(run), "run")
        (shared,) = overlays([read_run(run)], ALL).charts
        assert own.limits == shared.limits == (starts, None)
