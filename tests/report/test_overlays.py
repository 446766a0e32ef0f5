"""Overlays: means and bands against SciPy, what lines are drawn over, groups, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from new_run import new_run
from report_pages import Page
from sparring.core.errors import UsageError
from sparring.core.intervals import wilson
from sparring.recipes import load
from sparring.report import Comparison, report_folder, report_runs
from sparring.report.charts import Chart
from sparring.report.measures import measure_of
from sparring.report.overlays import ALL, aligned, overlays
from sparring.report.read import RunRecord, read_run
from sparring.report.run_charts import charts
from sparring.runs.folder import RunFolder

SYMMETRIC = "regime={name: symmetric, attack: {name: fgsm, epsilon: 8/255}}"
ROUNDS = (10, 20, 30)
PLAIN = "regime=plain"
FRECHET = {PLAIN: [[90.0, 60.0, 45.0], [80.0, 50.0, 40.0], [95.0, 70.0, 41.0]],
           SYMMETRIC: [[85.0, 40.0, 20.0], [70.0, 30.0, 25.0], [88.0, 45.0, 21.0]]}  # fmt: skip
"""Distances by regime, seed and round."""


def logged(
    path: Path, *changes: str, rounds: Sequence[int] = ROUNDS, games: int = 1, **numbers: Sequence[Any]
) -> RunRecord:
    """A run of digits that logged these numbers in these rounds, a second apart."""
    recipe = load("dishonest/digits", [f"replicas={games}", "batch_size=32", *changes])
    run = new_run(path, recipe, {"training_samples": 1437})
    for place, step in enumerate(rounds):
        run.append_row({"step": step, "seconds": place + 1.0} | {name: each[place] for name, each in numbers.items()})
    return read_run(run)


@pytest.fixture
def six(tmp_path: Path) -> list[RunRecord]:
    """Two regimes with three seeds each."""
    return [
        logged(
            tmp_path / f"{place}{seed}", regime, f"seed={seed}",
            frechet_distance=values, frechet_floor=[1.5] * 3, inception_score=[1.0 + seed, 2.0, 3.0],
            input_gradient_l1=[0.5, 0.25 * (1 + seed), 0.125], payoff_d=[-1.0, -1.25, -1.5],
        )
        for place, (regime, games) in enumerate(FRECHET.items())
        for seed, values in enumerate(games)
    ]  # fmt: skip


def drawn(runs: Sequence[RunRecord], **options: Any) -> dict[str, Chart]:
    return {chart.title: chart for chart in overlays(runs, Comparison(**options)).charts}


def test_mean_and_band_are_those_of_scipy(six: list[RunRecord]) -> None:
    plain, symmetric = drawn(six)["Fréchet distance"].curves
    assert [plain.label, symmetric.label] == ["plain", "symmetric"]
    for curve, games in zip((plain, symmetric), FRECHET.values(), strict=True):
        assert curve.steps.tolist() == list(ROUNDS)
        assert curve.values.T.tolist() == games
        assert curve.band is not None
        for place, interval in enumerate(curve.band):
            values = [game[place] for game in games]
            expected = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
            assert interval == pytest.approx(np.maximum(expected, 0.0))  # no distance is below 0


@pytest.mark.parametrize(
    ("lost", "is_log"), [([4000.0, 5000.0, 6000.0], True), ([4.0, 5.0, 6.0], False), ([4000.0, 5000.0, 0.0], False)]
)
def test_one_lost_game_does_not_hide_the_others(lost: list[float], is_log: bool, tmp_path: Path) -> None:
    games = np.array([[3.0, 1.0, 0.5], [2.0, 1.0, 0.25], lost])
    run = logged(tmp_path / "run", games=3, frechet_distance=games.T.tolist())
    (compared,) = overlays([run], Comparison(measures=("frechet_distance",))).charts
    (alone,) = (chart for chart in charts(run, "x") if chart.name == "frechet_distance")
    for chart in (compared, alone):
        assert chart.is_log is is_log
        assert ("distance of features (log)" in chart.svg()) is is_log
    low, high = compared.curves[0].band.T  # type: ignore[union-attr]
    assert (low > 0).all() == is_log and np.isfinite(high).all()


def test_a_share_of_successes_has_wilson_s_band(tmp_path: Path) -> None:
    run = logged(tmp_path / "run", games=4, success=[[0.0] * 4, [1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]])
    chart = drawn([run], measures=("success",))["Success"]
    assert chart.curves[0].band == pytest.approx(np.array([wilson(wins, 4) for wins in (0, 1, 3)]))
    assert "Mean over 4 games, with its 95 % interval (Wilson)." in chart.caption


def test_by_default_the_measures_are_those_of_the_papers(six: list[RunRecord]) -> None:
    found = overlays(six, ALL)
    assert found.title == "Measures over rounds, by regime"
    titles = [chart.title for chart in found.charts]
    assert titles == ["Fréchet distance", "Inception score", "Input gradient of D: L1 norm"]
    assert all(len(chart.curves) == 2 for chart in found.charts)
    assert found.charts[0].marks[0].value == 1.5
    assert "Mean over 3 games each, with its 95 % interval (Student's t)." in found.charts[0].caption


@pytest.mark.parametrize(
    ("unit", "in_one_round", "label"),
    [
        ("rounds", 1, "round"),
        ("images", 3 * 32, "real images seen"),
        ("epochs", 3 * 32 / 1437, "epoch"),
        ("updates", 3 * 2, "updates of D"),
        ("seconds", 0.1, "seconds"),
    ],
)
def test_lines_are_drawn_over_any_unit(unit: str, in_one_round: float, label: str, tmp_path: Path) -> None:
    run = logged(tmp_path / "run", SYMMETRIC, "critic_steps=3", frechet_distance=[3.0, 2.0, 1.0])
    (chart,) = overlays([run], Comparison(measures=("frechet_distance",), unit=unit)).charts
    assert chart.curves[0].steps == pytest.approx(np.array(ROUNDS) * in_one_round)
    assert chart.across == label


def test_a_plain_regime_updates_d_once_and_a_classifier_once_a_round(tmp_path: Path) -> None:
    run = logged(tmp_path / "run", "critic_steps=2", frechet_distance=[3.0, 2.0, 1.0])
    (chart,) = overlays([run], Comparison(measures=("frechet_distance",), unit="updates")).charts
    assert chart.curves[0].steps.tolist() == [20, 40, 60]


def test_what_a_run_cannot_say_is_an_error(tmp_path: Path) -> None:
    recipe = load("dishonest/ring-small", ["replicas=1"])
    run = new_run(tmp_path / "ring", recipe)
    run.append_row({"step": 100, "modes": 8.0})
    with pytest.raises(UsageError, match="ring has no epochs: its samples are drawn afresh"):
        overlays([read_run(run)], Comparison(unit="epochs"))
    with pytest.raises(UsageError, match="its log has no seconds"):
        overlays([read_run(run)], Comparison(unit="seconds"))


def test_epochs_of_an_older_run_are_counted_from_its_data(tmp_path: Path) -> None:
    run = logged(tmp_path / "run", frechet_distance=[3.0, 2.0, 1.0])
    (chart,) = overlays([replace(run, environment={})], Comparison(unit="epochs")).charts
    assert chart.curves[0].steps == pytest.approx(np.array(ROUNDS) * 32 / 1437)


def test_games_with_different_times_are_interpolated() -> None:
    grid, values = aligned([np.array([0.0, 2.0]), np.array([1.0, 3.0])], [np.array([0.0, 4.0]), np.array([10.0, 30.0])])
    assert grid.tolist() == [0.0, 1.0, 2.0, 3.0]
    np.testing.assert_array_equal(values, [[0.0, np.nan], [2.0, 10.0], [4.0, 20.0], [np.nan, 30.0]])


def test_long_lines_keep_their_ends() -> None:
    steps = np.arange(1.0, 5001.0)
    grid, values = aligned([steps], [steps**2])
    assert len(grid) == 500
    assert (grid[0], grid[-1]) == (1.0, 5000.0)
    assert values[:, 0] == pytest.approx(grid**2)


def test_a_diverged_game_leaves_the_mean_and_is_named(tmp_path: Path) -> None:
    values = [[14.0, 12.0, 16.0], [15.0, 13.0, None], [16.0, 12.0, None]]
    chart = drawn([logged(tmp_path / "run", games=3, frechet_distance=values)])["Fréchet distance"]
    (curve,) = chart.curves
    assert np.isnan(curve.values).sum() == 2
    assert curve.band is not None
    assert curve.band[1] == pytest.approx(np.maximum(stats.t.interval(0.95, 1, 14.0, stats.sem([15.0, 13.0])), 0.0))
    assert "all games: 1 of 3 games stopped or diverged early and left the mean there." in chart.caption


def test_a_game_that_took_less_time_leaves_the_mean_and_the_caption_says_so(tmp_path: Path) -> None:
    """All have the same rounds: over seconds the mean ends with the slowest."""
    runs = [logged(tmp_path / str(seed), f"seed={seed}", frechet_distance=[3.0, 2.0, 1.0]) for seed in (0, 1)]
    slow = logged(tmp_path / "slow", "seed=2", rounds=[*ROUNDS, ROUNDS[-1]], frechet_distance=[3.0, 2.0, 1.5, 1.0])
    by_rounds, by_seconds = (drawn([*runs, slow], unit=unit)["Fréchet distance"] for unit in ("rounds", "seconds"))
    assert "left the mean" not in by_rounds.caption
    assert "2 of 3 games ended sooner and left the mean there." in by_seconds.caption


def test_games_are_grouped_by_any_keys(six: list[RunRecord], tmp_path: Path) -> None:
    wide = logged(tmp_path / "wide", "regime=plain", "batch_size=64", "seed=0", frechet_distance=[9.0, 8.0, 7.0])
    assert overlays([*six, wide], ALL).title == "Measures over rounds, by regime and batch_size"
    labels = [curve.label for curve in drawn([*six, wide])["Fréchet distance"].curves]
    assert labels == ["plain, batch_size 32", "symmetric, batch_size 32", "plain, batch_size 64"]
    chart = drawn([*six, wide], group_by=("regime",))["Fréchet distance"]
    assert [curve.values.shape[1] for curve in chart.curves] == [4, 3]
    assert "Mean over plain: 4, symmetric: 3, with" in chart.caption
    by_seed = drawn(six, group_by=("seed", "regime.name"))["Fréchet distance"]
    assert [curve.label for curve in by_seed.curves][:2] == ["seed 0, plain", "seed 1, plain"]
    assert by_seed.caption.endswith("One game each.")


def test_a_number_of_the_training_is_a_measure(six: list[RunRecord]) -> None:
    chart = drawn(six, measures=("payoff_d",))["Payoffs: D"]
    assert chart.unit == "mean payoff per sample"
    assert [curve.values[:, 0].tolist() for curve in chart.curves] == [[-1.0, -1.25, -1.5]] * 2
    assert list(drawn(six, measures=("frechet", "inception_score"))) == ["Fréchet distance", "Inception score"]
    assert measure_of(six[0], "score_real").info.title == "score_real", "no difference of two, as a critic's chart has"


@pytest.mark.parametrize(
    ("options", "cause", "remedy"),
    [
        ({"measures": ("frechet_distanse",)}, "measure frechet_distanse", "did you mean frechet_distance?"),
        ({"measures": ("nonsense",)}, "measure nonsense", "one of seconds, frechet"),
        ({"group_by": ("regimes",)}, "--group-by regimes", "did you mean regime?"),
        ({"group_by": ("xyz",)}, "--group-by xyz", "lists the keys"),
    ],
)
def test_a_wrong_name_is_an_error_with_the_nearest(
    options: dict[str, Any], cause: str, remedy: str, six: list[RunRecord]
) -> None:
    with pytest.raises(UsageError, match=cause) as caught:
        overlays(six, Comparison(**options))
    assert remedy.replace("seconds, ", "") in caught.value.remedy


@pytest.mark.usefixtures("undrawn")
def test_the_page_has_one_chart_a_measure_with_two_lines_and_bands(six: list[RunRecord], tmp_path: Path) -> None:
    page = Page(report_folder(tmp_path, Comparison(unit="epochs")))
    assert "Measures over epochs, by regime" in page.text
    for title in ("Fréchet distance", "Inception score", "Input gradient of D: L1 norm"):
        assert title in page.text
    with pytest.raises(UsageError, match="the options compare several runs"):
        report_folder(six[0].folder.path, Comparison(unit="epochs"))


@pytest.mark.usefixtures("undrawn")
def test_only_the_measures_that_are_asked_for_are_shared(six: list[RunRecord], tmp_path: Path) -> None:
    folders = [RunFolder.open(run.folder.path) for run in six]
    page = Page(report_runs(folders, tmp_path / "all.html", title="six", comparison=Comparison(("payoff_d",))))
    assert "Payoffs: D" in page.text
    assert "Side by side" not in page.text
