"""The log is one stream of rows, and every sink takes all of them: files, tracking services, sinks of packages."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sparring.core import pieces
from sparring.core.errors import UsageError
from sparring.core.pieces import find
from sparring.core.process import Progress
from sparring.loggers import LoggedRun, Row, curves, require_loggers
from sparring.objectives import Objective
from sparring.recipes import Recipe, load
from sparring.runs.folder import RunFolder
from sparring.training.lengthen import lengthen
from sparring.training.loop import resume, train

EXAMPLE = Path(__file__).parents[2] / "examples" / "sparring-arctan"


class Notes(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes = list[str]()

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, done: int, total: int) -> None:
        pass


class Kept:
    """A sink that keeps its rows."""

    def __init__(self, run: LoggedRun) -> None:
        self.run, self.rows, self.closed = run, list[Row](), False
        KEPT.append(self)

    def write(self, row: Row) -> None:
        self.rows.append(row)

    def close(self) -> None:
        self.closed = True


class Failing(Kept):
    """A sink whose service is gone."""

    def write(self, row: Row) -> None:
        raise ConnectionError("the service is gone")


KEPT: list[Kept] = []


@pytest.fixture
def sinks(monkeypatch: pytest.MonkeyPatch) -> list[Kept]:
    """The sinks that were opened, with the loggers `kept` and `failing`."""
    monkeypatch.setattr("sparring.loggers.stream._OURS", {"sys": Kept, "json": Failing})  # installed modules
    KEPT.clear()
    return KEPT


def test_a_sink_takes_every_row_of_the_log(short: Callable[..., Recipe], run_path: Path, sinks: list[Kept]) -> None:
    train(short("replicas=2"), run_path, device="cpu", loggers=["sys"])
    (sink,) = sinks
    assert sink.rows == RunFolder.open(run_path).rows() and sink.rows and sink.closed
    assert sink.run.recipe["objective"]["name"] == "linear" and sink.run.start == 0


def test_a_resumed_run_has_the_same_key(short: Callable[..., Recipe], tmp_path: Path, sinks: list[Kept]) -> None:
    for name in ("a", "b"):
        train(short("steps=3"), tmp_path / name, device="cpu", loggers=["sys"])
    resume(tmp_path / "a", device="cpu", loggers=["sys"])
    lengthen(tmp_path / "a", "steps=5")
    resume(tmp_path / "a", device="cpu", loggers=["sys"])
    first, other, again, longer = sinks
    assert first.run.key == again.run.key == longer.run.key != other.run.key and again.run.start == 3


def test_a_sink_that_fails_does_not_end_the_training(
    short: Callable[..., Recipe], run_path: Path, sinks: list[Kept]
) -> None:
    progress = Notes()
    summary = train(short(), run_path, device="cpu", loggers=["json", "sys"], progress=progress)
    assert summary.status == "complete" and len(sinks[1].rows) == len(RunFolder.open(run_path).rows())
    told = [note for note in progress.notes if "json" in note]
    assert told == ["logger json: given up (the service is gone); metrics.jsonl has every row"]


def test_curves_of_packed_games() -> None:
    assert curves({"step": 3, "seconds": 0.5, "payoff": [1.0, None, 2.0]}) == {
        "seconds": 0.5,
        "payoff/0": 1.0,
        "payoff/2": 2.0,
    }


def test_unknown_and_missing_loggers(sparring: Callable[..., Any], tmp_path: Path) -> None:
    answer = sparring("train", "dishonest/ring-small", "--out", tmp_path / "run", "--log", "wandbb")
    assert answer.code == 2 and "no such logger; did you mean wandb?" in answer.err and answer.err.count("\n") == 2
    assert not (tmp_path / "run").exists()


def test_a_logger_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(UsageError, match="wandb is not installed") as caught:
        require_loggers(["wandb"])
    assert "sparring[wandb]" in caught.value.remedy


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="needs the extra wandb")
@pytest.mark.filterwarnings("default")
def test_weights_and_biases_offline(
    short: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    progress = Notes()
    train(short("steps=4"), tmp_path / "run", device="cpu", loggers=["wandb"], progress=progress)
    assert not [note for note in progress.notes if "wandb" in note]
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    for _ in range(600):  # the client's own process writes it
        if b"payoff_g" in file.read_bytes():
            break
        time.sleep(0.05)
    content = file.read_bytes()
    assert b"payoff_g" in content and b"ring" in content


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="needs the extra mlflow")
@pytest.mark.filterwarnings("default")
def test_mlflow_in_a_folder(short: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path / 'mlruns'}")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    progress = Notes()
    for again in (False, True):
        if again:
            resume(tmp_path / "run", device="cpu", loggers=["mlflow"], progress=progress)
        else:
            train(short("steps=4"), tmp_path / "run", device="cpu", loggers=["mlflow"], progress=progress)
    assert not [note for note in progress.notes if "mlflow" in note]
    (file,) = tmp_path.glob("mlruns/*/*/metrics/payoff_g")
    steps = [int(line.split()[2]) for line in file.read_text().splitlines()]
    assert set(steps) == {row["step"] for row in RunFolder.open(tmp_path / "run").rows() if "payoff_g" in row}
    assert len(list(tmp_path.glob("mlruns/*/*/artifacts/recipe.json"))) == 1


def test_pieces_and_loggers_of_an_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sparring: Callable[..., Any], short: Callable[..., Recipe]
) -> None:
    """The example package, installed without a network into a folder of its own."""
    source, target = tmp_path / "source", tmp_path / "site"
    source.mkdir()
    for file in EXAMPLE.iterdir():
        (source / file.name).write_bytes(file.read_bytes())  # building leaves files beside the source
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--target", str(target)]
    subprocess.run([*pip, *offline, str(source)], check=True)
    monkeypatch.syspath_prepend(target)
    monkeypatch.setitem(pieces._MEMBERS, "objective", dict(pieces._MEMBERS["objective"]))
    monkeypatch.delitem(sys.modules, "sparring_arctan", raising=False)
    train(short("objective={name: arctan, width: 2}", "steps=3"), tmp_path / "run", device="cpu", loggers=["text"])
    assert RunFolder.open(tmp_path / "run").game_recipe().objective.name == "arctan"
    assert (tmp_path / "run" / "log.txt").read_text().startswith("round 1: {'")
    answer = sparring("list", "objectives", "--json")
    assert '"name": "arctan"' in answer.out


def test_a_package_that_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "broken-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[sparring.pieces]\nx = no_such_module:X\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="no_such_module:X cannot be imported"):
        find(Objective, "hingee")  # type: ignore[type-abstract]
    assert find(Objective, "hinge").__name__ == "Hinge"  # type: ignore[type-abstract]
    assert load("dishonest/ring-small")
