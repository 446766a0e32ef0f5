"""Pages are self-contained, escape all text, show every state of a run, and have the right numbers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from new_run import new_run
from report_pages import HARMLESS, HOSTILE, Page, copied, played
from sparring.core.errors import UsageError
from sparring.recipes import load
from sparring.report import find_runs, report_run, report_runs
from sparring.report.format import duration, number, plain
from sparring.runs.folder import RunFolder
from sparring.runs.schema import MetricValue, Summary


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
    assert policy.startswith("default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:;")
    assert f"script-src 'sha256-{digest}'" in policy


def test_ids_are_unique_and_every_reference_is_met(both_page: Page) -> None:
    page = both_page
    references = re.findall(r"(?:url\(|href=\")#([^)\"]+)", page.source)
    labels = [found["aria-labelledby"] for found in page.named("svg")]
    assert len(page.ids) == len(set(page.ids))
    assert references
    assert set(references) | set(labels) <= set(page.ids)


def with_text(text: str, run: RunFolder) -> RunFolder:
    """Put a text into every file of a run folder."""
    recipe = run.recipe().model_copy(update={"description": text})
    (run.path / "recipe.yaml").write_text(json.dumps(recipe.model_dump(mode="json")))
    (run.path / "environment.json").write_text(json.dumps({"device": text, text: {text: text}}))
    rows = [row | {text: [0.5, 0.25]} for row in run.rows()]
    run.rows_path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    metric = MetricValue(value=(1.0, 2.0), protocol=text)
    run.write_summary(Summary(status=text, steps=6, seconds=1.0, metrics={text: metric, "modes": metric}))
    return run


def test_text_is_escaped(ring: RunFolder, tmp_path: Path) -> None:
    pages = []
    for text in (HOSTILE, HARMLESS):
        name = text.replace("/", "|")
        run = with_text(text, copied(ring, tmp_path / name / f"{name[:-1]}1"))
        broken = copied(ring, tmp_path / name / f"{name[:-1]}2")
        broken.rows_path.write_text(f"{text}\n")
        whole = report_runs([run, broken], tmp_path / f"{len(pages)}.html", title=text)
        pages.append((Page(report_run(run)), Page(whole)))
    for hostile, harmless in zip(*pages, strict=True):
        assert hostile.structure == harmless.structure
        assert hostile.scripts == harmless.scripts
        assert hostile.text.count(HOSTILE) > 5
        assert harmless.text.count(HARMLESS) > 5


def test_every_figure_of_points_is_there(ring_page: Page) -> None:
    page = ring_page
    for title in ("Modes covered", "High quality", "Distance to real samples", "Mean output of D", "Payoffs"):
        assert title in page.text
    assert "Gradient norms" in page.text and "Saturated scores" in page.text
    assert len(page.named("svg")) == 10
    assert [found["data-step"] for found in page.classed("frame")] == ["0", "3", "6"]
    assert ["hidden" in found for found in page.classed("frame")] == [True, True, False]
    assert len(page.named("img")) == 3 * 2
    assert "needed for a success" in page.source
    assert "floor: real against real" in page.source


def test_every_figure_of_images_is_there(digits: RunFolder, digits_page: Page) -> None:
    page = digits_page
    for title in ("Classes covered", "Distance of classes from uniform", "Recognisable", "Mean output of D", "Payoffs"):
        assert title in page.text
    assert len(page.classed("frame")) == 3
    assert len(page.named("img")) == 3 * 2 + 3 + 3 + 4
    assert "7 classes" in page.text
    assert digits.summary().verdict in page.text


def test_a_chart_draws_what_was_logged(ring: RunFolder, ring_page: Page, tmp_path: Path) -> None:
    other = copied(ring, tmp_path / "run")
    rows = other.rows()
    rows[-1]["d_real"] = [0.0, 0.0]
    other.rows_path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    pages = (ring_page, Page(report_run(other)))
    before, after = (re.findall(r"<svg.*?</svg>", page.source, re.DOTALL) for page in pages)
    changed = [first != second for first, second in zip(before, after, strict=True)]
    assert sum(changed) == 1


def test_final_numbers_have_interval_best_and_protocol(ring: RunFolder, ring_page: Page) -> None:
    page, metrics = ring_page, ring.summary().metrics
    for value, (low, high) in metrics["high_quality"].estimates:
        assert f"{100 * value:.1f} %[{100 * low:.0f} %, {100 * high:.0f} %]" in page.text
    assert metrics["modes"].protocol in page.text
    best = max(row["high_quality"][0] for row in ring.rows() if "high_quality" in row)
    assert f"{100 * best:.1f} %round " in page.text
    assert all(f"seed {seed}" in page.text for seed in (0, 1))


def test_a_game_without_honesty_is_warned_about(ring_page: Page, tmp_path: Path) -> None:
    run = played(tmp_path / "run", ["feedback.probability=0.6"], wins=1)
    assert "honest with probability 0.4, not more than 1/2" in Page(report_run(run)).text
    assert "not more than 1/2" not in ring_page.text


@pytest.mark.usefixtures("undrawn")
def test_every_state_of_a_run_is_shown(tmp_path: Path) -> None:
    run = played(tmp_path / "run", [], wins=1)
    assert "complete, 200 rounds" in Page(report_run(run)).text
    run.write_summary(run.summary().model_copy(update={"status": "NonFinite"}))
    assert "ended by NonFinite after round 200 of 200" in Page(report_run(run)).text
    with run.owned():
        page = Page(report_run(run))
    assert "still running, at round 200 of 200" in page.text
    assert "So far, " in page.text
    (run.path / "summary.json").unlink()
    page = Page(report_run(run))
    assert "stopped without a summary after round 200 of 200" in page.text
    assert "intervals and protocols come with the summary" in page.text


@pytest.mark.parametrize("recipe", ["dishonest/ring-small", "robgan/digits-classifier"])
def test_a_run_with_nothing_yet_has_a_page(recipe: str, tmp_path: Path) -> None:
    page = Page(report_run(new_run(tmp_path / "run", load(recipe))))
    assert "Nothing is logged yet." in page.text
    assert ("No samples were saved." in page.text) == (recipe == "dishonest/ring-small")
    assert not page.named("svg")


@pytest.mark.usefixtures("undrawn")
def test_looking_at_a_run_changes_only_its_page(tmp_path: Path) -> None:
    def content() -> dict[Path, bytes]:
        return {file: file.read_bytes() for file in run.path.rglob("*") if file.is_file()}

    run = played(tmp_path / "run", [], wins=1)
    before = content()
    assert report_run(run) == run.path / "report.html"
    run.report.unlink()
    assert content() == before


def test_the_same_runs_make_the_same_bytes(ring: RunFolder, digits: RunFolder, both_page: Page, tmp_path: Path) -> None:
    assert Page(report_runs([ring, digits], tmp_path / "again.html", title="two")).source == both_page.source


def test_runs_are_found_sorted_and_never_half_written(tmp_path: Path) -> None:
    for name in ("b", "a/deep", ".partial-c"):
        played(tmp_path / "runs" / name, [], wins=0)
    assert [run.path for run in find_runs(tmp_path / "runs")] == [tmp_path / "runs/a/deep", tmp_path / "runs/b"]
    assert [run.path for run in find_runs(tmp_path / "runs/b")] == [tmp_path / "runs/b"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no run here"):
        find_runs(tmp_path / "empty")


def test_numbers_and_durations_in_words() -> None:
    numbers = {
        10000: "10,000",
        999.7: "1,000",
        999.4: "999",
        0.12345: "0.123",
        8.0: "8",
        12345.6: "12,346",
        -0.5: "−0.5",
        float("nan"): "–",
    }
    assert {value: number(value) for value in numbers} == numbers
    durations = {5.512: "5.51 s", 75: "1 min 15 s", 7300: "2 h 1 min", None: "–"}
    assert {value: duration(value) for value in durations} == durations
    values = {16 / 255: "0.0627451", 0.05: "0.05", 1e-5: "1e-05", 3: "3", "x": "x", None: "–"}
    assert {value: plain(value) for value in values} == values
