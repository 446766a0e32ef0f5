"""Time to level: first measurements, means, paired ratios against SciPy, and games that never got there."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from new_run import new_run
from report_pages import Page
from sparring.core.errors import UsageError
from sparring.recipes import load
from sparring.report import Comparison, report_folder, times_to_levels
from sparring.report.read import read_run
from sparring.report.time_to_level import LevelTable, level_tables
from sparring.runs.folder import RunFolder

ROUNDS = (10, 20, 40, 80)
SCORES = {
    "plain": [[1.0, 2.0, 2.5, 3.5], [1.0, 1.5, 3.0, 2.0], [1.0, 1.0, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0]],
    "symmetric": [[2.0, 3.0, 3.5, 4.0], [3.0, 1.0, 1.0, 1.0], [1.0, 1.0, 2.5, 2.9], [1.0, 3.0, 3.0, 3.0]],
}
"""Inception scores by regime, seed and round. A score of 3 comes first in rounds 80, 40, 80, - and 20, 10, -, 20."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two regimes with four seeds each; a round of symmetric takes twice as long."""
    for regime, games in SCORES.items():
        for seed, scores in enumerate(games):
            recipe = load("dishonest/digits", ["replicas=1", "batch_size=32", f"regime={regime}", f"seed={seed}"])
            run = new_run(tmp_path / f"{regime}-{seed}", recipe, {"training_samples": 1437})
            for step, score in zip(ROUNDS, scores, strict=True):
                seconds = step * (0.5 if regime == "symmetric" else 0.25)
                numbers = {"inception_score": score, "frechet_distance": 10.0 - score, "seconds": seconds}
                run.append_row({"step": step} | numbers)
    return tmp_path


def of(folder: Path, *levels: str, group_by: Sequence[str] = ()) -> LevelTable:
    (table,) = times_to_levels(folder, levels, group_by)
    return table


def test_the_first_measurement_at_the_level_counts(folder: Path) -> None:
    table = of(folder, "inception_score=3")
    plain, symmetric = table.groups
    assert table.title == "Inception score at least 3"
    assert [(group.label, group.reached, group.games) for group in (plain, symmetric)] == [
        ("plain", 3, 4),
        ("symmetric", 3, 4),
    ]
    for group, rounds, seconds in ((plain, [80.0, 40.0, 80.0], 0.25), (symmetric, [20.0, 10.0, 20.0], 0.5)):
        expected = stats.t.interval(0.95, 2, np.mean(rounds), stats.sem(rounds))
        for unit, factor in {"rounds": 1, "images": 32, "seconds": seconds}.items():
            mean = group.means[unit]
            assert mean.value == pytest.approx(factor * np.mean(rounds))
            assert mean.interval == pytest.approx(factor * np.maximum(expected, 0.0))


def test_a_distance_reaches_a_level_from_above(folder: Path) -> None:
    table = of(folder, "frechet=7")
    assert table.title == "Fréchet distance at most 7"
    assert [group.means["rounds"].value for group in table.groups] == pytest.approx([200 / 3, 50 / 3])


def test_games_that_never_got_there_are_named(folder: Path) -> None:
    plain, symmetric = of(folder, "inception_score=3").groups
    assert plain.never == ("seed 3 (not in 80 rounds)",)
    assert symmetric.never == ("seed 2 (not in 80 rounds)",)
    nobody = of(folder, "inception_score=9")
    assert [(group.reached, len(group.never), group.means) for group in nobody.groups] == [(0, 4, {})] * 2
    (ratio,) = nobody.ratios
    assert (ratio.pairs, ratio.ratios, len(ratio.neither)) == (0, {}, 4)


def test_the_ratio_is_paired_by_seed_and_its_interval_is_that_of_the_logarithms(folder: Path) -> None:
    (ratio,) = of(folder, "inception_score=3").ratios
    assert (ratio.first, ratio.second, ratio.pairs) == ("plain", "symmetric", 2)
    assert (ratio.only_first, ratio.only_second, ratio.neither) == (("seed 2",), ("seed 3",), ())
    assert ratio.left_out == ("only plain got there: seed 2", "only symmetric got there: seed 3")
    for unit, factor in {"rounds": 1, "images": 1, "seconds": 0.5}.items():
        assert ratio.ratios[unit].value == pytest.approx(4 * factor)
        assert ratio.ratios[unit].interval is None  # 80 / 20 = 40 / 10

    (ratio,) = of(folder, "inception_score=2").ratios
    times = np.array([[20.0, 10.0], [40.0, 10.0], [40.0, 40.0]])
    logs = np.log(times[:, 0] / times[:, 1])
    assert ratio.only_second == ("seed 3",)
    assert ratio.ratios["rounds"].value == pytest.approx(stats.gmean(times[:, 0] / times[:, 1]))
    expected = np.exp(stats.t.interval(0.95, 2, logs.mean(), stats.sem(logs)))
    assert ratio.ratios["rounds"].interval == pytest.approx(expected)


def test_pairs_share_what_differs_within_groups_too(folder: Path) -> None:
    for seed, scores in enumerate(SCORES["plain"][:2]):
        recipe = load("dishonest/digits", ["replicas=1", "batch_size=64", "regime=plain", f"seed={seed}"])
        run = new_run(folder / f"wide-{seed}", recipe)
        for step, score in zip(ROUNDS, scores, strict=True):
            run.append_row({"step": step, "inception_score": score})
    table = of(folder, "inception_score=3", group_by=["regime"])
    assert table.groups[0].games == 6
    assert "seconds" not in table.groups[0].means, "two runs have no times"
    (ratio,) = table.ratios
    assert ratio.pairs == 2
    assert ratio.unpaired == ("seed 0, batch_size 64", "seed 1, batch_size 64")


def test_packed_games_are_paired_by_their_seeds(tmp_path: Path) -> None:
    firsts = {"log": ([0.0, 1.0, 0.0], [1.0, 1.0, 0.0]), "linear": ([1.0, 1.0, 0.0], [1.0, 1.0, 1.0])}
    for objective, rows in firsts.items():
        run = new_run(tmp_path / objective, load("dishonest/ring-small", [f"objective={objective}", "replicas=3"]))
        for step, modes in zip((100, 200), rows, strict=True):
            run.append_row({"step": step, "modes": [8.0 * each for each in modes], "seconds": step / 50})
    (ratio,) = of(tmp_path, "modes=8").ratios
    assert (ratio.first, ratio.pairs, ratio.only_first) == ("linear", 2, ("seed 2",))
    assert ratio.ratios["rounds"].value == pytest.approx(np.sqrt(0.5 * 1.0))


def test_the_same_game_twice_is_no_second_seed(folder: Path) -> None:
    recipe = read_run(RunFolder.open(folder / "plain-0")).recipe
    new_run(folder / "again", recipe).append_row({"step": 10, "inception_score": 3.0})
    with pytest.raises(UsageError, match="plain, seed 0: both again and plain-0"):
        of(folder, "inception_score=3")


@pytest.mark.parametrize(
    ("level", "cause"),
    [
        ("inception_score", "not MEASURE=NUMBER"),
        ("inception_score=much", "not MEASURE=NUMBER"),
        ("inception_scoer=3", "measure inception_scoer: not in the log"),
        ("inception_score=nan", "not MEASURE=NUMBER"),
    ],
)
def test_a_wrong_level_is_an_error(level: str, cause: str, folder: Path) -> None:
    with pytest.raises(UsageError, match=cause):
        of(folder, level)


def test_a_measure_without_a_better_direction_has_no_level(folder: Path) -> None:
    run = read_run(RunFolder.open(folder / "plain-0"))
    rows = tuple(row | {"input_gradient_l1": 1.0} for row in run.rows)
    with pytest.raises(UsageError, match="input_gradient_l1 has no better direction"):
        level_tables([replace(run, rows=rows)], ["input_gradient_l1=3"])


@pytest.mark.usefixtures("undrawn")
def test_the_page_and_json_show_them(folder: Path, sparring: Callable[..., tuple[int, str, str]]) -> None:
    page = Page(report_folder(folder, Comparison(levels=("inception_score=3",))))
    found = ("Inception score at least 3", "3 of 4", "seed 3 (not in 80 rounds)", "only plain got there: seed 2")
    for text in ("Time to level", "plain / symmetric", *found):
        assert text in page.text
    code, out, _ = sparring("report", folder, "--level", "inception_score=3", "--json")
    assert code == 0
    (table,) = json.loads(out)["levels"]
    assert table["ratios"][0]["ratios"]["rounds"]["value"] == pytest.approx(4)
    assert [group["reached"] for group in table["groups"]] == [3, 3]
    code, _, error = sparring("report", folder, "--measure", "inception_scoer")
    assert code == 2
    assert "did you mean inception_score?" in error
