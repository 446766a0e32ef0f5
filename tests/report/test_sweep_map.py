"""The map of a grid: means over seeds, shades, small multiples, a line over one number; and the page of a sweep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from report_pages import Page
from sparring.core.intervals import student
from sparring.recipes import unvalidated
from sparring.report import report_folder
from sparring.report.metric_info import metric_info
from sparring.report.seed_mean import seed_interval
from sparring.report.sweep_map import SweepMap, sweep_map
from sparring.runs.schema import Estimate, Number
from sparring.sweeps.grid import cells_of, parse_grid
from sparring.sweeps.sweep_folder import SweepFolder
from sparring.sweeps.table import CellResult

RING = "dishonest/ring-small"


def results_of(*words: str, **numbers: Sequence[Number]) -> list[CellResult]:
    """Cells of a grid with these numbers, one after another."""
    cells = cells_of(unvalidated(RING), parse_grid(words), RING)
    return [
        CellResult(cell, "complete", "", {name: Estimate(values[cell.index]) for name, values in numbers.items()})
        for cell in cells
    ]


def test_students_interval_is_that_of_scipy() -> None:
    values = [1.0, 2.5, 2.0, 7.0]
    expected = stats.t.interval(0.95, 3, stats.tmean(values), stats.sem(values))
    assert student(values) == pytest.approx(expected)
    with pytest.raises(ValueError, match="1 values"):
        student([1.0])


def test_a_map_shows_means_over_seeds_and_the_best_is_darkest() -> None:
    grid = ("objective=log,linear", "feedback.probability=0.0,0.4", "seed=0..1")
    found = results_of(*grid, modes=[8, 8, 3, 5, 2, 2, 6, 6], wasserstein2=[0.1, 0.3, 1, 1, 2, 2, 0.5, 0.5])
    modes, distance = sweep_map(found).sheets
    ((_, tiles),) = modes.maps
    assert (modes.row_key, modes.column_key) == ("objective", "feedback.probability")
    assert [[tile.shown for tile in row] for row in tiles] == [["8", "4"], ["2", "6"]]
    assert [[tile.shade for tile in row] for row in tiles] == [[1, 1 / 3], [0, 2 / 3]]
    assert [bool(tile.detail) for row in tiles for tile in row] == [False, True, False, False]
    assert [tile.shade for row in distance.maps[0][1] for tile in row][:3] == pytest.approx([1, 1 - 0.8 / 1.8, 0])
    assert "the darker, the better" in distance.caption


def test_more_keys_are_small_multiples_on_one_scale() -> None:
    found = results_of("objective=log,linear", "batch_size=16,32,64", "critic_steps=1,2", modes=list(range(12)))
    sheet = sweep_map(found).sheets[0]
    (first, tiles), (second, others) = sheet.maps
    assert (sheet.row_key, sheet.column_key) == ("objective", "batch_size")
    assert first == (("critic_steps", 1),) and second == (("critic_steps", 2),)
    assert tiles[0][0].shade == 0 and others[1][2].shade == 1
    assert [tile.shown for tile in others[0]] == ["1", "3", "5"]


def test_one_number_is_a_line_with_a_band_and_words_are_a_column() -> None:
    found = results_of("feedback.probability=0.4,0.0", "seed=0..2", modes=[1, 3, 5, 8, 8, 7])
    (line,) = sweep_map(found).charts[0].curves
    assert line.steps.tolist() == [0.0, 0.4]
    assert line.values.tolist() == [[8, 8, 7], [1, 3, 5]]
    assert line.band is not None and tuple(line.band[1]) == pytest.approx((0.0, student([1.0, 3.0, 5.0])[1]))
    column = sweep_map(results_of("objective=log,linear,square_root", modes=[1, 2, 3])).sheets[0]
    assert column.column_key == "" and [row[0].shown for row in column.maps[0][1]] == ["1", "2", "3"]


def test_a_place_without_a_game_is_a_gap_in_the_line() -> None:
    found = results_of("feedback.probability=0.4,0.0", success=[1.0, None])
    lines = sweep_map(found).charts
    assert any(np.isnan(chart.curves[0].values).any() for chart in lines)
    assert seed_interval(metric_info("success"), []) is None


def test_a_cell_without_numbers_is_named_and_has_no_shade() -> None:
    found = results_of("objective=log,linear", "batch_size=16,32", modes=[1, 2, 3, 4])
    found[2] = CellResult(found[2].cell, "non-finite", "round 3: not finite: payoff_d", {})
    grid = sweep_map(found)
    assert (len(grid.complete), len(grid.missing)) == (3, 1)
    assert grid.sheets[0].maps[0][1][1][0].shade is None
    assert grid.missing[0].cell.index == 2


def test_what_tells_nothing_comes_last_and_success_is_counted() -> None:
    found = results_of("objective=log,linear", "seed=0..1", modes=[8, 8, 8, 8], success=[0, 1, 1, 1])
    success, modes = sweep_map(found).sheets
    assert (success.title, modes.title) == ("Success", "Modes covered")
    assert [row[0].shown for row in success.maps[0][1]] == ["1/2", "2/2"]


def test_rounds_to_the_first_success_are_means_by_cell_over_games_that_had_one() -> None:
    grid = ("objective=log,linear", "feedback.probability=0.0,0.4", "seed=0..2")
    rounds = [100, 300, 200, None, None, None, 400, 500, 600, 900, None, 700]
    found = results_of(*grid, steps_to_success=rounds, success=[float(each is not None) for each in rounds])
    _, sheet = sweep_map(found).sheets
    assert sheet.title == "Rounds to first success"
    ((_, tiles),) = sheet.maps
    assert [[tile.shown for tile in row] for row in tiles] == [["200", "never"], ["500", "800"]]
    assert [[tile.shade for tile in row] for row in tiles] == [[1.0, 0.0], [0.5, 0.0]]
    low, high = stats.t.interval(0.95, 1, 800, stats.sem([900, 700]))
    assert tiles[0][1].detail == "3 of 3 never"
    assert tiles[1][1].detail == f"[{max(low, 0):.0f}, {high:,.0f}]; 1 of 3 never"
    assert "Games without a number are counted, and in no mean." in sheet.caption


def test_over_one_number_the_games_without_a_success_are_in_the_caption() -> None:
    found = results_of("feedback.probability=0.4,0.0", "seed=0..1", steps_to_success=[900, None, 100, 300])
    (chart,) = sweep_map(found).charts
    assert chart.curves[0].values[0].tolist() == [100, 300]
    assert chart.caption == "Final values of all games, by feedback.probability; 1 of 2 never at 0.4."


def test_a_game_that_diverged_is_on_the_map() -> None:
    grid = ("objective=log,linear", "feedback.probability=0.0,0.4", "seed=0..1")
    found = results_of(*grid, modes=[8, 8, None, None, 8, 8, 8, 8], diverged=[None, None, 6011, 7011, *[None] * 4])
    for cell in found[4:]:
        del cell.metrics["diverged"]  # of a run without a diverged game
    sheets = {sheet.title: sheet.maps[0][1] for sheet in sweep_map(found).sheets}
    assert [[tile.shown for tile in row] for row in sheets["Diverged at round"]] == [["no", "6,511"], ["no", "no"]]
    assert [[tile.shown for tile in row] for row in sheets["Modes covered"]] == [["8", "–"], ["8", "8"]]
    assert sheets["Modes covered"][0][1].detail == "2 of 2 without"


def test_a_grid_of_nothing_has_an_atlas() -> None:
    assert isinstance(sweep_map(results_of(modes=[1.0])), SweepMap)
    assert isinstance(sweep_map([]), SweepMap)


def test_a_sweep_has_a_page_before_anything_is_played(tmp_path: Path) -> None:
    SweepFolder.create(tmp_path / "out", RING, ["objective=log,linear", "seed=0..1"], 1)
    page = Page(report_folder(tmp_path / "out"))
    assert "0 of 4 cells are complete" in page.text
    assert page.text.count("not complete yet") == 4
