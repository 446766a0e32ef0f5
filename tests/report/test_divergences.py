"""Games that diverged: in the sentence of a run, in its table of final numbers, and in the table of runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from report_pages import Page, played
from sparring.report import report_run, report_runs
from sparring.report.final_numbers import number_tables
from sparring.report.read import read_run
from sparring.report.sentences import divergence
from sparring.runs.folder import RunFolder
from sparring.runs.schema import MetricValue, Number


def diverged(path: Path, rounds: tuple[Number, ...]) -> RunFolder:
    """A complete run of games that diverged in these rounds."""
    run = played(path, [], wins=0, games=len(rounds))
    metrics = {
        "modes": MetricValue(value=tuple(3.0 if each is None else None for each in rounds)),
        "diverged": MetricValue(value=rounds if len(rounds) > 1 else rounds[0]),
    }
    run.write_summary(run.summary().model_copy(update={"metrics": metrics}))
    return run


@pytest.mark.parametrize(
    ("rounds", "text"),
    [
        ((None, None), ""),
        ((None, 6011), "Seed 1 diverged at round 6,011."),
        ((7000, None, 6011), "Seed 2 diverged at round 6,011; seed 0 diverged at round 7,000."),
        ((7000, 6500, 6011, 8000, None), "4 games diverged, from round 6,011 (seed 2) to round 8,000."),
    ],
)
def test_the_sentence_names_seed_and_round(rounds: tuple[Number, ...], text: str, tmp_path: Path) -> None:
    assert divergence(read_run(diverged(tmp_path / "run", rounds))) == text


@pytest.mark.usefixtures("undrawn")
def test_a_diverged_game_is_on_the_page_of_its_run(tmp_path: Path) -> None:
    run = diverged(tmp_path / "run", (None, 6011))
    page = Page(report_run(run))
    assert "at round 200. Seed 1 diverged at round 6,011." in page.text
    of_model, _ = number_tables(read_run(run))
    rows = {row.title: [shown for shown, _ in row.games] for row in of_model.rows if row.kind != "best"}
    assert rows == {"Modes covered": ["3", "–"], "Diverged at round": ["no", "6,011"]}


@pytest.mark.usefixtures("undrawn")
def test_a_diverged_game_of_a_run_that_trains_is_on_its_page(tmp_path: Path) -> None:
    """Without a summary the last row is read; a game that diverged has no number there."""
    run = played(tmp_path / "run", [], wins=0, games=2)
    run.append_row({"step": 200, "modes": [None, 5.0]})
    (run.path / "summary.json").unlink()
    of_model, _ = number_tables(read_run(run))
    rows = {(row.title, row.kind): [shown for shown, _ in row.games] for row in of_model.rows}
    assert rows["Modes covered", "final"] == ["–", "5"]
    for only in ([None, None], [None, 5.0]):
        lost = played(tmp_path / f"lost {only}", [], wins=0, games=2)
        lost.rows_path.write_text("")
        lost.append_row({"step": 200, "frechet_distance": only})
        (lost.path / "summary.json").unlink()
        page = Page(report_runs([lost], tmp_path / "one.html", title="one"))
        assert "nan" not in page.text


@pytest.mark.usefixtures("undrawn")
def test_the_table_of_runs_counts_them(tmp_path: Path) -> None:
    folders = [diverged(tmp_path / "a", (7000, 6011, None)), diverged(tmp_path / "b", (None, None, None))]
    folders[0].append_row({"step": 200, "modes": [None, None, 5.0]})
    page = Page(report_runs(folders, tmp_path / "all.html", title="two"))
    assert "diverged at round" in page.text and "5 modes" in page.text
    assert "from 6,011 (2 of 3)" in page.text
