"""Sweeps: what is trained, continued, split, failed and written to the table."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from in_process import InProcess
from sparring.cli.ending import sweep_verdict
from sparring.core.errors import CorruptInput, FolderBusy, UsageError
from sparring.core.process import Progress
from sparring.report import report_folder
from sparring.runs.schema import SUMMARY, MetricValue, Summary
from sparring.sweeps.executor import LocalExecutor
from sparring.sweeps.sweep import RunsFailed, demo, resume_sweep, sweep
from sparring.sweeps.sweep_folder import FAILED, FILE, SweepFolder
from sparring.sweeps.table import rows_of
from sparring.training.loop import train

RING = "dishonest/ring-small"
TINY = (
    "generator={name: mlp, latent: 4, hidden: [8]}",
    "discriminator={name: mlp, hidden: [8]}",
    "batch_size=16",
    "log_every=2",
    "sample_every=0",
    "checkpoint_every=2",
)
FOUR = (*TINY, "steps=4", "evaluate_every=4", "objective=log,linear", "seed=0..1")
"""Four cells in two packs."""


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sweep") / "whole"
    sweep(RING, FOUR, path, executor=InProcess())
    return path


@pytest.fixture
def whole(trained_once: Path, tmp_path: Path) -> SweepFolder:
    """A copy of a complete sweep."""
    shutil.copytree(trained_once, tmp_path / "whole")
    return SweepFolder.open(tmp_path / "whole")


def test_a_complete_sweep_trains_nothing_more_and_keeps_its_packs(whole: SweepFolder) -> None:
    executor = InProcess()
    executor.workers = 16
    sweep(RING, FOUR, whole.path, executor=executor)
    assert not executor.started
    assert [path.name for path in sorted((whole.path / "runs").iterdir())] == ["0000x2", "0002x2"]


def test_the_table_has_a_row_for_every_cell_in_both_formats(whole: SweepFolder) -> None:
    rows = rows_of(whole.results())
    assert [(row["objective"], row["seed"], row["status"]) for row in rows] == [
        ("log", 0, "complete"), ("log", 1, "complete"), ("linear", 0, "complete"), ("linear", 1, "complete"),
    ]  # fmt: skip
    lines = list(csv.DictReader(whole.csv.read_text().splitlines()))
    assert [(line["objective"], line["seed"], line["modes"]) for line in lines] == [
        (row["objective"], str(row["seed"]), f"{row['modes']:g}") for row in rows
    ]
    assert pq.read_table(whole.parquet).to_pylist() == rows
    metrics = Summary.read(whole.path / "runs" / "0002x2" / SUMMARY).metrics
    shown = [name for name in metrics if name in rows[0]]
    assert shown and "success_rate" not in shown
    assert [rows[3][name] for name in shown] == [metrics[name].estimates[1].value for name in shown], "game by game"


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (RING, [*FOUR[:-1], "seed=0..2"]),
        (RING, [*FOUR[:-2], "seed=0..1", "objective=log,linear"]),
        ("dishonest/ring", FOUR),
    ],
)
def test_another_sweep_in_the_same_folder_is_refused(whole: SweepFolder, recipe: str, words: list[str]) -> None:
    with pytest.raises(UsageError, match="another recipe or grid"):
        sweep(recipe, words, whole.path, executor=InProcess())


def test_a_mistake_creates_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cell 1 "):
        sweep(RING, ["batch_size=16,0"], tmp_path / "out", executor=InProcess())
    assert not list(tmp_path.iterdir())


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        sweep(RING, FOUR, tmp_path, executor=InProcess())
    with pytest.raises(UsageError, match="not a sweep"):
        resume_sweep(tmp_path, executor=InProcess())


def test_a_sweep_has_one_coordinator(whole: SweepFolder) -> None:
    with whole.owned(), pytest.raises(FolderBusy) as caught:
        resume_sweep(whole.path, executor=InProcess())
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "text",
    ["sweep: 2\n", "{", "[]", "sweep: 1\nrecipe: {}\ngrid: {seed: []}\nworkers: 1\n", "sweep: 1\nunknown: 3\n", "\xff"],
)
def test_a_damaged_plan_is_refused(whole: SweepFolder, text: str) -> None:
    (whole.path / FILE).write_text(text, encoding="latin-1")
    with pytest.raises(CorruptInput, match=r"sweep\.yaml"):
        SweepFolder.open(whole.path)


def test_a_sweep_of_unknown_origin_imports_no_code(
    whole: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "canary.py").write_text("raise SystemExit('run')")
    monkeypatch.syspath_prepend(tmp_path)
    plan = whole.path / FILE
    plan.write_text(plan.read_text().replace("- log\n", "- canary:Objective\n"))
    with pytest.raises(CorruptInput, match="of canary"):
        SweepFolder.open(whole.path)


def test_a_sweep_of_own_code_says_where_it_is_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere.py").write_text("from sparring.objectives.odd import Cubic\n\n\nclass Mine(Cubic): ...\n")
    with monkeypatch.context() as there:
        there.syspath_prepend(tmp_path)
        SweepFolder.create(tmp_path / "out", RING, (*TINY, "objective=elsewhere:Mine,linear"), 1)
    sys.modules.pop("elsewhere")
    with pytest.raises(UsageError, match="names elsewhere:Mine") as caught:
        SweepFolder.open(tmp_path / "out")
    assert caught.value.remedy.startswith("run from the folder that holds the elsewhere.py")


def test_a_sweep_goes_on_with_no_more_workers_than_it_had(
    whole: SweepFolder, sparring: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []

    def resumed(_: Path, *, executor: LocalExecutor, progress: Progress) -> None:
        used.append(executor.workers)
        raise UsageError("enough is known", "")

    monkeypatch.setattr(os, "cpu_count", lambda: 50)
    monkeypatch.setattr("sparring.sweeps.sweep.resume_sweep", resumed)
    assert "enough is known" in sparring("resume", whole.path).err
    assert used == [whole.plan.workers] != [50]


def test_a_game_that_diverges_does_not_fail_those_packed_with_it(tmp_path: Path) -> None:
    words = (*TINY, "steps=4", "evaluate_every=2", "seed=0..2")
    created = SweepFolder.create(tmp_path / "out", RING, words, 1)
    run = created.folder(created.packs[0])
    summary = train(created.packs[0].recipe, run.path, device="cpu")
    diverged = {"diverged": MetricValue(value=(None, 1234, None))}
    run.write_summary(summary.model_copy(update={"metrics": {**summary.metrics, **diverged}}))
    result = sweep(RING, words, tmp_path / "out", executor=LocalExecutor(1))
    assert not result.failed
    assert [row["reason"] for row in result.rows] == ["", "diverged at round 1,234", ""]
    assert [row["diverged"] for row in result.rows] == [None, 1234, None]


def test_a_diverging_cell_is_named_and_the_others_are_complete_in_processes(tmp_path: Path) -> None:
    wild = "optimizers.generator={name: sgd, lr: 1e+30},{name: sgd, lr: 1e-3}"
    words = (*TINY, "steps=6", "evaluate_every=0", wild)
    result = sweep(RING, words, tmp_path / "out", executor=LocalExecutor(2))
    assert list(result.failed) == ["0000"]
    assert RunsFailed(result.failed).exit_code == 6 and "failed: 0000" in RunsFailed(result.failed).cause
    assert RunsFailed(result.failed | {"0002": UsageError("another code")}).exit_code == 1
    assert [row["status"] for row in result.rows] == ["non-finite", "complete"]
    assert "not finite" in result.rows[0]["reason"]
    page = report_folder(tmp_path / "out").read_text()
    assert "1 of 2 cells are complete" in page and "Cells without numbers" in page
    again = InProcess()
    assert resume_sweep(tmp_path / "out", executor=again).failed.keys() == result.failed.keys()
    assert again.started == ["0000"]


def test_damaged_runs_and_failures_are_reported(whole: SweepFolder) -> None:
    run = whole.folder(whole.packs[0])
    summary = Summary.read(run.path / SUMMARY)
    run.write_summary(summary.model_copy(update={"metrics": {"modes": MetricValue(value=(1.0,))}}))
    assert [result.status for result in whole.results()] == ["failed", "failed", "complete", "complete"]
    (whole.path / FAILED).write_text(json.dumps({"0000x2": {"status": "unknown", "reason": "a letter"}}))
    assert [whole.results()[0].status, whole.results()[0].reason] == ["unknown", "a letter"]
    assert whole.missing() == []
    (run.path / SUMMARY).write_text("{")
    assert sweep_verdict(whole.path, [{"status": "complete"}]).startswith("1 of 1 cells are complete.")
    assert whole.missing() == [whole.packs[0]], "the others are trained"


def test_the_demo_trains_its_cells_and_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparring.sweeps.sweep.LocalExecutor", InProcess)
    runs = demo(tmp_path, steps=2, seeds=2)
    assert list(runs) == ["log-p0", "log-p0.4", "linear-p0", "linear-p0.4"]
    written = {name: (run.path / "summary.json").stat().st_mtime_ns for name, run in runs.items()}
    again = demo(tmp_path, steps=2, seeds=2)
    assert {name: (run.path / "summary.json").stat().st_mtime_ns for name, run in again.items()} == written
    with pytest.raises(UsageError, match="a run of another recipe"):
        demo(tmp_path, steps=3, seeds=2)
    more = demo(tmp_path, objectives=("sine",), steps=2, seeds=2)
    assert list(more) == ["sine-p0", "sine-p0.4"]
    with pytest.raises(UsageError, match="did you mean sine"):
        demo(tmp_path, objectives=("sin",), steps=2, seeds=2)
