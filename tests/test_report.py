"""Reports: self-contained pages that escape what strangers wrote, in every state of a run, with the right numbers."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.engine import RunFolder, train
from sparring.engine.gallery import png_grid
from sparring.errors import UsageError
from sparring.recipes import load
from sparring.report import find_runs, report_run, report_runs
from sparring.report.comparing import differing, success_maps
from sparring.report.curves import TOLD_APART, shared_charts
from sparring.report.pictures import LEVELS, SIDE, games_in, plane
from sparring.report.reading import read_run
from sparring.report.words import duration, number

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


def copied(run: RunFolder, path: Path) -> RunFolder:
    shutil.copytree(run.path, path)
    return RunFolder.open(path)


def played(path: Path, overrides: list[str], wins: int, games: int = 3, status: str = "complete") -> RunFolder:
    """A run folder as the engine leaves it, without playing: `wins` of `games` end with all modes."""
    recipe = load("dishonest/ring-small", [f"replicas={games}", "steps=200", *overrides])
    run = RunFolder.create(path, recipe, {"device": "cpu (test)"})
    for step in (100, 200):
        success = [float(game < wins and step == 200) for game in range(games)]
        run.append_row({"step": step, "d_real": [0.7] * games, "d_fake": [0.2] * games, "success": success})
        modes = [8.0 if won else 3.0 for won in success]
        run.append_row({"step": step, "modes": modes})
    run.write_summary({"status": status, "steps": 200, "seconds": 1234.5, "metrics": {}})
    return run


def test_a_page_needs_no_network(ring_page: Page, digits_page: Page, both_page: Page) -> None:
    for page in (ring_page, digits_page, both_page):
        assert not re.search(r"https?:|//[a-z]+\.|@import", page.source)
        assert all(found.startswith("#") for found in re.findall(r"url\(([^)]*)\)", page.source))
        addresses = [
            found[name] or "" for _, found in page.tags for name in ("src", "href", "xlink:href") if name in found
        ]
        assert addresses
        assert all(address.startswith(("data:image/png;base64,", "#")) for address in addresses)
        assert not {"link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}


def test_only_the_page_s_own_script_may_run(ring_page: Page) -> None:
    (policy,) = [found["content"] or "" for found in ring_page.named("meta") if "http-equiv" in found]
    (script,) = ring_page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert f"script-src 'sha256-{digest}'" in policy


def test_ids_are_unique_and_every_reference_is_met(both_page: Page) -> None:
    page = both_page
    ids = [found["id"] for _, found in page.tags if found.get("id")]
    references = re.findall(r"(?:url\(|href=\")#([^)\"]+)", page.source)
    labels = [found["aria-labelledby"] for found in page.named("svg")]
    assert len(ids) == len(set(ids))
    assert references
    assert set(references) | set(labels) <= set(ids)


def written_by(stranger: str, run: RunFolder) -> RunFolder:
    """Put a stranger's text wherever a run folder has room for one."""
    recipe = run.recipe().model_copy(update={"description": stranger})
    (run.path / "recipe.yaml").write_text(json.dumps(recipe.model_dump(mode="json")))
    (run.path / "environment.json").write_text(json.dumps({"device": stranger, stranger: {stranger: stranger}}))
    rows = [row | {stranger: [0.5, 0.25]} for row in run.rows()]
    run.rows_path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    entry = {"value": [1.0, 2.0], "interval": None, "protocol": stranger}
    run.write_summary({"status": stranger, "steps": 6, "seconds": 1.0, "metrics": {stranger: entry, "modes": entry}})
    return run


def test_a_stranger_s_text_stays_text(ring: RunFolder, tmp_path: Path) -> None:
    pages = []
    for text in (HOSTILE, HARMLESS):
        name = text.replace("/", "|")
        run = written_by(text, copied(ring, tmp_path / name / f"{name[:-1]}1"))
        broken = copied(ring, tmp_path / name / f"{name[:-1]}2")
        broken.rows_path.write_text(json.dumps({"step": 1, text: "no number"}) + "\n")
        whole = report_runs([run, broken], tmp_path / f"{len(pages)}.html", title=text)
        pages.append((Page(report_run(run)), Page(whole)))
    for hostile, harmless in zip(*pages, strict=True):
        assert hostile.structure == harmless.structure
        assert hostile.scripts == harmless.scripts
        assert hostile.text.count(HOSTILE) > 5
        assert harmless.text.count(HARMLESS) > 5


def test_every_figure_of_points_is_there(ring_page: Page) -> None:
    page = ring_page
    titles = ("Modes covered", "High quality", "Distance to real samples", "What D thinks", "Payoffs", "Gradient norms")
    for title in (*titles, "Saturated scores"):
        assert title in page.text
    assert len(page.named("svg")) == 7
    assert [found["data-step"] for found in page.classed("frame")] == ["0", "3", "6"]
    assert ["hidden" in found for found in page.classed("frame")] == [True, True, False]
    assert len(page.named("img")) == 3 * 2
    assert "needed for a success" in page.source
    assert "floor: real against real" in page.source


def test_every_figure_of_images_is_there(digits_page: Page) -> None:
    page = digits_page
    for title in ("Classes covered", "Distance of classes from uniform", "Recognisable", "What D thinks", "Payoffs"):
        assert title in page.text
    assert len(page.classed("frame")) == 3
    assert len(page.named("img")) == 3 * 2
    assert "7 classes" in page.text
    assert "1 of 2 games learned all 10 classes evenly [Wilson 95 % interval 9 %, 91 %] at round 6" in page.text


def test_a_chart_draws_what_was_logged(ring: RunFolder, ring_page: Page, tmp_path: Path) -> None:
    other = copied(ring, tmp_path / "run")
    rows = other.rows()
    rows[-1]["d_real"] = [0.0, 0.0]
    other.rows_path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pages = (ring_page, Page(report_run(other)))
    before, after = (re.findall(r"<svg.*?</svg>", page.source, re.DOTALL) for page in pages)
    changed = [first != second for first, second in zip(before, after, strict=True)]
    assert sum(changed) == 1


def test_final_numbers_stand_with_interval_best_and_protocol(ring: RunFolder, ring_page: Page) -> None:
    page, metrics = ring_page, ring.summary()["metrics"]
    for value, (low, high) in zip(*(metrics["high_quality"][key] for key in ("value", "interval")), strict=True):
        assert f"{100 * value:.1f} %[{100 * low:.0f} %, {100 * high:.0f} %]" in page.text
    assert metrics["modes"]["protocol"] in page.text
    best = max(row["high_quality"][0] for row in ring.rows() if "high_quality" in row)
    assert f"{100 * best:.1f} %round " in page.text
    assert all(f"seed {seed}" in page.text for seed in (0, 1))


def test_a_game_without_honesty_is_warned_about(ring_page: Page, tmp_path: Path) -> None:
    run = played(tmp_path / "run", ["feedback.probability=0.6"], wins=1)
    assert "honest with probability 0.4, not more than 1/2" in Page(report_run(run)).text
    assert "not more than 1/2" not in ring_page.text


def test_every_state_of_a_run_is_said(tmp_path: Path) -> None:
    run = played(tmp_path / "run", [], wins=1)
    assert "complete, 200 rounds" in Page(report_run(run)).text
    run.write_summary(run.summary() | {"status": "NonFinite"})
    assert "ended by NonFinite after round 200 of 200" in Page(report_run(run)).text
    with run.owned():
        page = Page(report_run(run))
    assert "still running, at round 200 of 200" in page.text
    assert "So far, " in page.text
    (run.path / "summary.json").unlink()
    page = Page(report_run(run))
    assert "stopped without a summary after round 200 of 200" in page.text
    assert "intervals and protocols come with the summary" in page.text


def test_a_run_with_nothing_yet_has_a_page(tmp_path: Path) -> None:
    run = RunFolder.create(tmp_path / "run", load("dishonest/ring-small"), {})
    page = Page(report_run(run))
    assert "Nothing is logged yet." in page.text
    assert "No samples were saved." in page.text
    assert not page.named("svg")


def test_looking_at_a_run_changes_only_its_page(tmp_path: Path) -> None:
    run = played(tmp_path / "run", [], wins=1)
    before = {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}
    assert report_run(run) == run.path / "report.html"
    run.report.unlink()
    assert {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()} == before


def test_the_same_runs_make_the_same_bytes(ring: RunFolder, digits: RunFolder, both_page: Page, tmp_path: Path) -> None:
    assert Page(report_runs([ring, digits], tmp_path / "again.html", title="two")).source == both_page.source


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
    maps = success_maps(runs)
    assert [found.given for found in maps] == [(("lipschitz.bound", 0.05),), (("lipschitz.bound", 0.1),)]
    assert maps[1].rows == ("linear", "log")
    assert maps[1].columns == (0.0, 0.4)
    found = [[(cell.outcome.wins, cell.outcome.games) for cell in row if cell.outcome] for row in maps[1].cells]
    assert found == [[(3, 3), (2, 3)], [(3, 3), (0, 3)]]
    assert [[cell.runs for cell in row] for row in maps[0].cells] == [[0, 0], [0, 1]]


def test_the_page_of_runs_prints_counts_and_intervals(tmp_path: Path) -> None:
    folders = grid(tmp_path)
    page = Page(report_runs(folders, tmp_path / "new" / "report.html", title="A grid"))
    assert "9 of 15 games in 5 runs" in page.text
    assert "all games in 2, some in 2, none in 1" in page.text
    for count, interval in (("3/3", "[44 %, 100 %]"), ("2/3", "[21 %, 94 %]"), ("0/3", "[0 %, 56 %]")):
        assert f"{count}{interval}" in page.text
    assert page.text.count("not run") == 3
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
    (found,) = success_maps(runs)
    assert [(cell.outcome.wins, cell.outcome.games) for (cell,) in found.cells if cell.outcome] == [(4, 6), (2, 3)]


def test_what_follows_from_the_axes_makes_no_map_of_its_own(tmp_path: Path) -> None:
    runs = [
        read_run(played(tmp_path / f"{name}{share}", [f"objective={name}", f"feedback.probability={share}", more], 1))
        for name in ("log", "linear")
        for share, more in ((0.0, "batch_size=64"), (0.4, "batch_size=128"))
    ]
    assert "batch_size" in differing(runs)
    assert [found.given for found in success_maps(runs)] == [()]


@pytest.mark.parametrize("count", [1, 2])
def test_runs_that_do_not_differ_have_a_page(tmp_path: Path, count: int) -> None:
    folders = [played(tmp_path / str(index), [], wins=1) for index in range(count)]
    page = Page(report_runs(folders, tmp_path / "report.html", title="same"))
    assert f"{count} of {3 * count} games" in page.text
    assert not page.classed("map")


def test_unlike_data_and_an_unreadable_run_share_a_page(ring: RunFolder, digits: RunFolder, tmp_path: Path) -> None:
    broken = copied(ring, tmp_path / "broken")
    broken.rows_path.write_text("{oops\n")
    page = Page(report_runs([ring, digits, broken], tmp_path / "report.html", title="mixed"))
    assert "cannot be read" in page.text
    assert "not JSON lines" in page.text
    assert len(page.classed("run")) == 2
    assert "Modes covered, mean" in page.text
    assert "Classes covered, mean" in page.text


def test_many_saved_rounds_are_thinned_to_the_budget(ring: RunFolder, tmp_path: Path) -> None:
    run = copied(ring, tmp_path / "run")
    for step in range(7, 107):
        shutil.copy(run.samples / "000000006.npz", run.samples / f"{step:09d}.npz")
    page = Page(report_run(run))
    steps = [int(found["data-step"] or 0) for found in page.classed("frame")]
    assert len(steps) == 41
    assert (steps[0], steps[-1]) == (0, 106)
    assert "41 of 103 saved rounds are shown." in page.text


def test_a_page_of_many_runs_is_compact(tmp_path: Path) -> None:
    folders = [played(tmp_path / f"{count:02d}", [f"batch_size={count + 1}"], wins=1, games=1) for count in range(9)]
    page = Page(report_runs(folders, tmp_path / "report.html", title="many"))
    assert len(page.named("svg")) == 1 + 9 * 2
    assert len(page.classed("run")) == 9


def test_runs_share_a_chart_while_they_can_be_told_apart(tmp_path: Path) -> None:
    run = read_run(played(tmp_path / "run", [], wins=1))
    (chart,) = shared_charts([run] * TOLD_APART)
    assert f">run {TOLD_APART}<" in chart.svg()
    assert shared_charts([run] * (TOLD_APART + 1)) == []


def test_a_damaged_picture_is_left_out(ring: RunFolder, tmp_path: Path) -> None:
    run = copied(ring, tmp_path / "run")
    (run.samples / "000000003.npz").write_bytes(b"PK\x03\x04 cut")
    assert [found["data-step"] for found in Page(report_run(run)).classed("frame")] == ["0", "6"]


def test_points_and_landscape_lie_where_they_are() -> None:
    landscape = np.zeros((64, 64), np.float16)
    landscape[32:, :] = 1.0  # D says real in the upper half
    points = np.array([[1.0, 1.0], [9.0, 9.0]], np.float32)
    image = np.asarray(plane(points, landscape, 2.0, np.array([[-1.0, -1.0]]), 0.1))
    assert image.shape == (SIDE, SIDE)
    rows, columns = np.nonzero(image == LEVELS + 1)
    assert abs(columns.mean() / SIDE - 0.75) < 0.01
    assert abs(rows.mean() / SIDE - 0.25) < 0.01
    rows, columns = np.nonzero(image == LEVELS)
    assert abs(columns.mean() / SIDE - 0.25) < 0.01
    assert abs(rows.mean() / SIDE - 0.75) < 0.01
    assert image[5, 5] == LEVELS - 1
    assert image[-5, 5] == 0


def test_a_grid_is_cut_into_its_games() -> None:
    games, each = 3, 21
    shades = torch.linspace(-1, 1, games * each).reshape(-1, 1, 1, 1)
    grid = Image.open(io.BytesIO(png_grid(shades.expand(-1, 1, 8, 8))))
    parts = games_in(grid, games, each)
    tiles: list[Any] = []
    for part in parts:
        assert part.size == (7 * 66, 3 * 66)
        pixels = np.asarray(part)
        tiles += [pixels[top + 33, left + 33] for top in range(0, 198, 66) for left in range(0, 462, 66)]
    expected = ((shades.flatten() + 1) * 127.5 + 0.5).floor().numpy()
    assert np.array_equal(tiles, expected)
    assert games_in(grid.crop((0, 0, 101, 100)), games, each) == []


def test_runs_are_found_sorted_and_never_half_written(tmp_path: Path) -> None:
    for name in ("b", "a/deep", ".partial-c"):
        played(tmp_path / "runs" / name, [], wins=0)
    assert [run.path for run in find_runs(tmp_path / "runs")] == [tmp_path / "runs/a/deep", tmp_path / "runs/b"]
    assert [run.path for run in find_runs(tmp_path / "runs/b")] == [tmp_path / "runs/b"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no run here"):
        find_runs(tmp_path / "empty")


@pytest.mark.parametrize(
    ("value", "text"),
    [(10000, "10,000"), (0.12345, "0.123"), (8.0, "8"), (12345.6, "12,346"), (-0.5, "−0.5"), (float("nan"), "–")],
)
def test_numbers_in_words(value: float, text: str) -> None:
    assert number(value) == text


def test_durations_in_words() -> None:
    assert [duration(value) for value in (5.512, 75, 7300, None)] == ["5.51 s", "1 min 15 s", "2 h 1 min", "–"]
