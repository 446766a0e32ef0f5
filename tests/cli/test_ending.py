"""What verbs that train print at the end, from made-up measures and runs that were not trained."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from report_pages import played
from sparring.cli.ending import (
    demo_verdict,
    mattering,
    print_ending,
    sweep_verdict,
    times_of_new,
    times_of_resumed,
)
from sparring.cli.terminal import show_progress
from sparring.runs.schema import SUMMARY, MetricValue, Summary
from sparring.sweeps.sweep_folder import SweepFolder

LINES: dict[str, tuple[dict[str, MetricValue], list[str]]] = {
    "points": (
        {
            "modes": MetricValue(value=(8.0, 3.0)),
            "high_quality": MetricValue(value=(0.9, 0.1), interval=((0.8, 1.0), (0.0, 0.2))),
            "wasserstein2": MetricValue(value=(0.5, 1.5)),
            "wasserstein2_floor": MetricValue(value=(0.25, 0.25)),
        },
        [
            "Modes covered 5.5; high quality 50.0 % (means of 2 games)",
            "Distance to real samples 1 (floor 0.25) (means of 2 games)",
        ],
    ),
    "images": (
        {
            "classes": MetricValue(value=7.0),
            "recognisable": MetricValue(value=0.5, interval=(0.45, 0.55)),
            "frechet_distance": MetricValue(value=380.0),
            "frechet_floor": MetricValue(value=1.1),
        },
        ["Classes covered 7; recognisable 50.0 % [45 %, 55 %]", "Fréchet distance 380 (floor 1.1)"],
    ),
    "a classifier": (
        {
            "robust_accuracy_test": MetricValue(value=0.6, interval=(0.55, 0.65)),
            "robust_accuracy_train": MetricValue(value=0.8),
            "accuracy_test": MetricValue(value=0.9, interval=(0.85, 0.95)),
            "accuracy_train": MetricValue(value=1.0),
        },
        [
            "Accuracy under attack 60.0 % [55 %, 65 %] (training samples 80.0 %)",
            "Accuracy 90.0 % [85 %, 95 %] (training samples 100.0 %)",
        ],
    ),
    "nothing": ({}, []),
}


@pytest.mark.parametrize("kind", LINES)
def test_the_measures_that_matter_stand_beside_their_floors(kind: str) -> None:
    metrics, lines = LINES[kind]
    assert mattering(metrics) == lines


def test_the_time_is_that_of_the_command_and_says_what_it_went_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = played(tmp_path / "run", [], wins=1)
    summary = Summary(
        status="complete", steps=200, seconds=6.0, preparation_seconds=73.0, verdict="It ran.", metrics={}
    )
    monkeypatch.setattr("sparring.cli.ending.time", SimpleNamespace(monotonic=lambda: 90.2))
    print_ending(run.path, summary, times_of_new, began=0.0, verbose=False, as_json=False)
    verdict, took, page = capsys.readouterr().out.splitlines()
    assert verdict == "It ran." and page.startswith("  report: ")
    assert took == "  Time: 1 min 30 s (1 min 13 s of preparation, 6 s of rounds, 11 s to start and draw the page)"


@pytest.mark.parametrize(("rounds", "shown"), [(6.0, "6 s"), (7200.0, "2 h 0 min")])
def test_rounds_of_earlier_calls_are_not_counted_to_this_command(rounds: float, shown: str) -> None:
    summary = Summary(status="complete", steps=9, seconds=rounds, preparation_seconds=2.0, verdict="", metrics={})
    assert times_of_resumed(summary, 90.0) == (
        f"1 min 30 s (2 s of preparation); all rounds, with those of earlier calls, took {shown}"
    )


def test_the_demo_begins_with_what_each_objective_learned() -> None:
    def summary(objective: str, lies: float, *successes: float) -> Summary:
        recipe = {"objective": {"name": objective}, "feedback": {"probability": lies}}
        metrics = {"success": MetricValue(value=successes)}
        return Summary(recipe=recipe, status="complete", steps=9, seconds=1.0, metrics=metrics)

    found = [(name, lies, *wins) for lies, wins in ((0.0, (1.0, 1.0)), (0.4, (0.0, 1.0))) for name in ("log", "linear")]
    assert demo_verdict([summary(*each) for each in found]) == (
        "After 9 rounds G has learned all modes under an honest discriminator in 2 of 2 games with log and 2 of 2 "
        "games with linear; "
        "under one that lies 40 % of the time in 1 of 2 games with log and 1 of 2 games with linear."
    )


def test_a_sweep_begins_with_how_many_cells_are_complete_and_what_they_reached(tmp_path: Path) -> None:
    sweep = SweepFolder.create(tmp_path / "sweep", "dishonest/ring-small", ["seed=0,5"], 1)
    rows = [{"status": "complete"}, {"status": "missing"}]
    played(sweep.folder(sweep.packs[0]).path, ["replicas=1"], wins=1, games=1)
    text = sweep_verdict(sweep.path, rows)
    assert text == "1 of 2 cells are complete. 1 of 1 game learned all 8 modes, in 1 run."
    (sweep.folder(sweep.packs[0]).path / SUMMARY).unlink()
    assert sweep_verdict(sweep.path, [{"status": "missing"}] * 2) == "0 of 2 cells are complete."


def test_a_part_has_lines_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("rounds") as progress:
        part = progress.part("training the judge, once")
        part.advance(1, 50)
        part.advance(50, 50)
        progress.advance(1, 9)
    assert capsys.readouterr().err.splitlines() == [
        "training the judge, once: 1 of 50",
        "training the judge, once: 50 of 50",
        "rounds: 1 of 9",
    ]
