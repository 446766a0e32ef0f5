"""Sweeps: grids, what is packed, what goes on, what is set aside, and the table."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparring.cli import sweeping
from sparring.core.errors import CorruptInput, FolderBusy, NonFinite, SparringError, UsageError
from sparring.core.pieces import members
from sparring.networks import Network
from sparring.recipes import AnyRecipe, Recipe, unvalidated
from sparring.runs.folder import RunFolder
from sparring.runs.lock import owned
from sparring.runs.schema import MetricValue
from sparring.sweeps.cells import results
from sparring.sweeps.grid import Cell, cells_of, parse_grid
from sparring.sweeps.packing import packs
from sparring.sweeps.side_by_side import Crew, End, Worker, is_complete, play_run
from sparring.sweeps.sweep import FILE, Sweep
from sparring.sweeps.table import rows_of, write_table
from sparring.sweeps.workers import Processes
from sparring.training.loop import train

RING = "dishonest/ring-small"
TINY = (
    "generator.hidden=[8]",
    "generator.latent=4",
    "discriminator.hidden=[8]",
    "batch_size=16",
    "steps=4",
    "log_every=2",
    "sample_every=0",
    "checkpoint_every=2",
    "evaluate_every=0",
)


def tiny(*words: str) -> list[str]:
    """The words, and those of `TINY` that they leave out."""
    given = {word.partition("=")[0] for word in words}
    return [*(word for word in TINY if word.partition("=")[0] not in given), *words]


def cells(*words: str) -> list[Cell]:
    return cells_of(unvalidated(RING), parse_grid(tiny(*words)), RING)


def quiet(_done: int, _total: int) -> None:
    pass


FOUR = tiny("objective=log,linear", "seed=0..1", "evaluate_every=4")
"""The grid of four cells."""


class AtOnce(Crew):
    """Plays every run here and now, but for what a test plans to happen to it.

    Args:
        ends: by name of the run, how its first workers end instead.
    """

    size = 2

    def __init__(self, ends: dict[str, list[End]] | None = None) -> None:
        self.ends, self.started = ends or {}, list[str]()

    def start(self, path: Path, recipe: AnyRecipe) -> Worker:
        self.started.append(path.name)
        planned = self.ends.get(path.name, [])
        return Done(planned.pop(0) if planned else _played(path, recipe))

    def wait(self, seconds: float) -> None:
        pass

    def dismiss(self) -> None:
        pass


class Done(Worker):
    played = 0

    def __init__(self, end: End) -> None:
        self._end = end

    def end(self) -> End:
        return self._end


def _played(path: Path, recipe: AnyRecipe) -> End:
    try:
        play_run(path, recipe.model_dump(mode="json"), device="cpu", spectator=Silent())
    except SparringError as error:
        return End(error=error)
    return End()


class Silent:
    def __init__(self) -> None:
        self.notes, self.names = list[str](), list[str]()

    def note(self, text: str) -> None:
        self.notes.append(text)

    def called(self, what: str) -> None:
        self.names.append(what)

    def played(self, done: int, total: int) -> None:
        pass


@pytest.mark.parametrize(
    ("word", "key", "values"),
    [
        ("seed=0..3", "seed", (0, 1, 2, 3)),
        ("seed=5,7..8", "seed", (5, 7, 8)),
        ("a.b=0.1,1e-3,true,null,sqrt", "a.b", (0.1, 1e-3, True, None, "sqrt")),
        ("hidden=[16, 16],[32]", "hidden", ([16, 16], [32])),
        ("objective={name: hinge, margin: 2.0},log", "objective", ({"name": "hinge", "margin": 2.0}, "log")),
        ("description='a, b'", "description", ("a, b",)),
        ("offset=-1..1", "offset", (-1, 0, 1)),
    ],
)
def test_a_word_of_a_grid(word: str, key: str, values: tuple[Any, ...]) -> None:
    assert parse_grid([word]) == {key: values}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["seed"], "not KEY=VALUES"),
        (["=1"], "not KEY=VALUES"),
        (["seed=0", "seed=1"], "given twice"),
        (["seed=3..1"], "range is empty"),
        (["seed=1,1"], "a value comes twice"),
        (["seed=0..2,1"], "a value comes twice"),
        (["seed="], "no values"),
        (["seed=0..99999999"], "more than 10,000 values"),
        (["seed=[1"], "seed="),
    ],
)
def test_a_mistake_in_a_grid_is_told(words: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_grid(words)


def test_mistakes_in_several_words_are_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse_grid(["seed=3..1", "objective=log", "b"])
    assert len(caught.value.cause.split("\n")) == 2


def test_every_combination_is_a_cell_the_last_key_fastest() -> None:
    found = cells("objective=log,square_root", "feedback.probability=0.0,0.4", "seed=3..4", "replicas=1")
    assert [cell.index for cell in found] == list(range(8))
    assert [(c.recipe.objective.name, c.settings["seed"]) for c in found[2:5]] == [
        ("log", 3),
        ("log", 4),
        ("square_root", 3),
    ]
    assert [cell.recipe.seed for cell in found] == [3, 4] * 4
    assert list(found[0].settings) == ["objective", "feedback.probability", "seed"], "what all share is no setting"


def test_a_cell_is_one_game_whatever_the_recipe_packs() -> None:
    assert [(cell.recipe.seed, cell.recipe.replicas) for cell in cells()] == [(seed, 1) for seed in range(5)]
    assert [cell.recipe.seed for cell in cells("seed=7", "replicas=2")] == [7, 8]
    assert [(cell.recipe.seed, cell.recipe.replicas) for cell in cells("seed=0,1")] == [(0, 1), (1, 1)]
    with pytest.raises(UsageError, match="packs games by itself"):
        cells("replicas=1,2")


def test_all_cells_with_mistakes_are_named() -> None:
    with pytest.raises(UsageError) as caught:
        cells("objective=log,hinje", "batch_size=16,0", "seed=0,1")
    lines = [line for line in caught.value.cause.split("\n") if line.startswith("cells ")]
    assert [line.partition(":")[0] for line in lines] == [
        "cells 2, 3 (objective=log batch_size=0 seed=0, ...)",
        "cells 4, 5 (objective=hinje batch_size=16 seed=0, ...)",
        "cells 6, 7 (objective=hinje batch_size=0 seed=0, ...)",
    ]
    assert "did you mean hinge?" in caught.value.cause


def test_a_grid_has_limits() -> None:
    with pytest.raises(UsageError, match="more than 10,000"):
        cells("seed=0..9999", "steps=1,2")


@given(
    seeds=st.lists(st.integers(0, 12), min_size=1, max_size=6, unique=True),
    probabilities=st.integers(1, 3),
    objectives=st.integers(1, 3),
    workers=st.integers(1, 9),
    seeds_first=st.booleans(),
)
@settings(deadline=None, max_examples=50)
def test_packs_hold_every_cell_once_and_play_the_same_games(
    seeds: list[int], probabilities: int, objectives: int, workers: int, seeds_first: bool
) -> None:
    words = [
        f"objective={','.join(['log', 'linear', 'square_root'][:objectives])}",
        f"feedback.probability={','.join(['0.0', '0.2', '0.4'][:probabilities])}",
    ]
    words.insert(0 if seeds_first else len(words), f"seed={','.join(map(str, seeds))}")
    found = cells(*words, "replicas=1")
    made = packs(found, workers)
    assert sorted(cell.index for pack in made for cell in pack.cells) == list(range(len(found)))
    assert len({pack.name for pack in made} | {each.name for pack in made for each in pack.alone()}) >= len(made)
    for pack in made:
        assert pack.recipe.replicas == len(pack.cells)
        assert all(pack.recipe.single(game) == cell.recipe for game, cell in enumerate(pack.cells))
    sizes = [len(pack.cells) for pack in made]
    assert max(sizes) - min(sizes) <= 1, "shared evenly"
    assert len(made) >= min(workers, len(found)), "no worker is idle while there is something to share"


def test_cells_are_packed_by_what_their_networks_can() -> None:
    assert [len(pack.cells) for pack in packs(cells("seed=0..2"), 1)] == [3]
    assert [len(pack.cells) for pack in packs(cells("seed=0..2,4"), 1)] == [4], "seeds may be any"
    numbers = cells("feedback.probability=0.1,0.3", "optimizers.generator.lr=1e-3,2e-3", "seed=0,1", "steps=5,6")
    (first, second) = packs(numbers, 1)
    assert len(first.cells) == len(second.cells) == 8, "numbers of formulas may differ, how long a game lasts may not"
    assert isinstance(first.recipe, Recipe)
    assert set(first.recipe.vary) == {"feedback.probability", "optimizers.generator.lr", "seed"}
    assert [len(pack.cells) for pack in packs(cells("seed=0..199"), 1)] == [50] * 4
    images = ("data=digits", "generator={name: mnist, latent: 4}", "discriminator={name: mnist}", "seed=0..1")
    found = cells_of(unvalidated(RING), parse_grid(images), RING)
    assert [len(pack.cells) for pack in packs(found, 1)] == [1, 1]


def test_networks_say_whether_they_pack() -> None:
    told = {name for family in Network.__subclasses__() for name, each in members(family).items() if each.packs}
    assert told == {"mlp"}


@pytest.fixture(scope="module")
def played_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of four cells in two packs, played."""
    path = tmp_path_factory.mktemp("sweep") / "whole"
    with Sweep.begun(path, RING, FOUR, 2) as sweep:
        assert not sweep.play(AtOnce(), quiet, quiet)
        write_table(sweep)
    return path


@pytest.fixture
def whole(played_once: Path, tmp_path: Path) -> Sweep:
    """A copy of it."""
    shutil.copytree(played_once, tmp_path / "whole")
    return Sweep.open(tmp_path / "whole")


def test_a_sweep_plays_its_packs_and_a_complete_one_nothing(whole: Sweep) -> None:
    assert [path.name for path in sorted((whole.path / "runs").iterdir())] == ["0000x2", "0002x2"]
    again, crew = Sweep.open(whole.path), AtOnce()
    with again.owned():
        assert not again.missing() and not again.play(crew, quiet, quiet)
    assert crew.started == []


def test_the_table_has_a_row_a_cell_in_csv_and_in_parquet(whole: Sweep) -> None:
    rows = rows_of(results(whole))
    assert [(row["objective"], row["seed"], row["status"]) for row in rows] == [
        ("log", 0, "complete"), ("log", 1, "complete"), ("linear", 0, "complete"), ("linear", 1, "complete"),
    ]  # fmt: skip
    names, *lines = whole.csv.read_text().splitlines()
    assert len(lines) == 4 and names.split(",")[:4] == ["objective", "seed", "status", "reason"]
    assert pq.read_table(whole.parquet).to_pylist() == rows
    summary = RunFolder.open(whole.path / "runs" / "0002x2").summary().metrics
    shown = [name for name in summary if name in rows[0]]
    assert shown, "there are numbers"
    assert [rows[3][name] for name in shown] == [summary[name].estimates[1].value for name in shown], "game by game"


def test_a_table_is_the_same_bytes_every_time(whole: Sweep, tmp_path: Path) -> None:
    before = whole.csv.read_bytes(), whole.parquet.read_bytes()
    with Sweep.begun(tmp_path / "elsewhere", RING, FOUR, 2) as other:
        other.play(AtOnce(), quiet, quiet)
        write_table(other)
    assert (other.csv.read_bytes(), other.parquet.read_bytes()) == before
    assert "seconds" not in before[0].decode()


def test_a_sweep_keeps_the_packs_that_it_began_with(whole: Sweep) -> None:
    with Sweep.begun(whole.path, RING, FOUR, 16) as again:
        assert [pack.name for pack in again.packs] == ["0000x2", "0002x2"]


@pytest.mark.parametrize(
    ("recipe", "words", "told"),
    [
        (RING, ["objective=log,linear", "seed=0..2"], "another grid"),
        (RING, ["seed=0..1", "objective=log,linear"], "another grid"),
        ("dishonest/ring", ["objective=log,linear", "seed=0..1"], "another recipe"),
    ],
)
def test_another_sweep_in_the_same_folder_is_refused(whole: Sweep, recipe: str, words: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told), Sweep.begun(whole.path, recipe, tiny(*words), 2):
        pass


def test_a_mistake_makes_no_folder(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="cells 5, 6, 7, 8, 9"),
        Sweep.begun(tmp_path / "out", RING, ["batch_size=16,0"], 2),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"), Sweep.begun(tmp_path, RING, tiny(), 2):
        pass
    with pytest.raises(UsageError, match="not a sweep"):
        Sweep.open(tmp_path)


def test_a_sweep_has_one_coordinator(whole: Sweep) -> None:
    with whole.owned(), pytest.raises(FolderBusy, match="in use by") as caught, owned(whole.path):
        pass
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    "text",
    ["sweep: 2\n", "{", "[]", "sweep: 1\nrecipe: {}\ngrid: {seed: []}\nworkers: 1\n", "sweep: 1\nunknown: 3\n", "\xff"],
)
def test_a_damaged_plan_is_refused(whole: Sweep, text: str) -> None:
    (whole.path / FILE).write_text(text, encoding="latin-1")
    with pytest.raises(CorruptInput, match=r"sweep\.yaml"):
        Sweep.open(whole.path)


def test_a_strangers_sweep_runs_no_code_of_theirs(
    whole: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "canary.py").write_text("raise SystemExit('run')")
    monkeypatch.syspath_prepend(tmp_path)
    plan = whole.path / FILE
    plan.write_text(plan.read_text().replace("- log\n", "- canary:Objective\n"))
    with pytest.raises(CorruptInput, match="names code that would be run, of canary"):
        Sweep.open(whole.path)


def test_a_run_that_is_killed_again_and_again_is_set_aside_and_the_others_are_played(tmp_path: Path) -> None:
    killed = End(killed="SIGKILL")
    crew = AtOnce({"0000x2": [killed] * 3, "0002x2": [killed] * 2})
    told: list[tuple[int, int]] = []
    with Sweep.begun(tmp_path / "out", RING, tiny("objective=log,linear", "seed=0..1"), 2) as sweep:
        aside = sweep.play(crew, quiet, lambda done, total: told.append((done, total)))
    assert list(aside) == ["0000x2"] and aside["0000x2"].exit_code == 1
    assert told == [(2, 4), (4, 4)]
    rows = write_table(sweep)
    assert [row["status"] for row in rows] == ["failed", "failed", "complete", "complete"]
    assert (
        rows[0]["reason"] == "runs/0000x2: 3 workers were killed in a row (SIGKILL), none of which came beyond round 0"
    )
    with sweep.owned():
        assert not sweep.play(AtOnce(), quiet, quiet), "the same command tries it again"
    assert [row["status"] for row in write_table(sweep)] == ["complete"] * 4


def test_a_game_that_diverges_does_not_take_its_pack_along(tmp_path: Path) -> None:
    pack = End(error=NonFinite("round 3: not finite: payoff_d", ""))
    crew = AtOnce({"0000x3": [pack], "0001": [pack]})
    with Sweep.begun(tmp_path / "out", RING, tiny("seed=0..2"), 1) as sweep:
        train(sweep.packs[0].recipe, sweep.folder(sweep.packs[0]).path, device="cpu")
        _end_as(sweep.folder(sweep.packs[0]), "non-finite")
        (sweep.path / "runs" / "0000x3").rename(sweep.path / "pack")
        aside = sweep.play(Falling(crew, sweep.path / "pack"), quiet, quiet)
    assert crew.started == ["0000x3", "0000", "0001", "0002"]
    assert list(aside) == ["0001"] and aside["0001"].exit_code == 6
    again = Sweep.open(sweep.path)
    assert [run.name for run in again.runs()] == ["0000", "0001", "0002"], "the folders tell that the pack fell apart"
    rows = write_table(again)
    assert [row["status"] for row in rows] == ["complete", "non-finite", "complete"]
    assert rows[1]["reason"] == "round 3: not finite: payoff_d"


class Falling(Crew):
    """A crew whose first worker leaves the folder of a run that failed."""

    size = 1

    def __init__(self, crew: AtOnce, left: Path) -> None:
        self._crew, self._left = crew, left

    def start(self, path: Path, recipe: AnyRecipe) -> Worker:
        if self._left.exists():
            self._left.rename(path)
        return self._crew.start(path, recipe)

    def wait(self, seconds: float) -> None:
        pass

    def dismiss(self) -> None:
        pass


def _end_as(run: RunFolder, status: str) -> None:
    run.write_summary(run.summary().model_copy(update={"status": status, "metrics": {}}))


def test_the_exit_code_is_that_of_all_failures_or_1() -> None:
    swept = SimpleNamespace(rows=[], csv=Path(), parquet=Path(), report=Path())
    both = {"0000": NonFinite("a", ""), "0001": NonFinite("b", "")}
    for aside, code in ((both, 6), (both | {"0002": UsageError("c", "")}, 1)):
        with pytest.raises(sweeping.SetAside, match="0000, 0001") as caught:
            sweeping.Swept(**vars(swept), aside=aside).require_whole()
        assert caught.value.exit_code == code
    sweeping.Swept(**vars(swept), aside={}).require_whole()


@pytest.fixture
def poisoned(tmp_path: Path) -> Iterator[Path]:
    """A grid with a cell whose numbers blow up, swept by processes."""
    out, audience = tmp_path / "out", Silent()
    words = tiny("steps=6", "optimizers.generator={name: sgd, lr: 1e+30},{name: sgd, lr: 1e-3}", "seed=0..1")
    swept = sweeping.sweep(RING, words, out, workers=sweeping.Workers(2, "cpu"), audience=audience)
    assert audience.notes[0] == "4 cells: 2 runs of 2 packed games"
    assert audience.names[0] == "0 of 4 cells, rounds" and audience.names[-1] == "4 of 4 cells, rounds"
    with pytest.raises(sweeping.SetAside) as caught:
        swept.require_whole()
    assert caught.value.exit_code == 6
    assert swept.report.is_file()
    yield out
    assert not multiprocessing.active_children()


def test_a_poisoned_cell_is_named_and_the_others_are_finished_by_processes(poisoned: Path) -> None:
    sweep = Sweep.open(poisoned)
    rows = rows_of(results(sweep))
    assert [row["status"] for row in rows] == ["non-finite"] * 2 + ["complete"] * 2
    assert "not finite" in rows[0]["reason"]
    page = sweep.report.read_text()
    assert "2 of 4 cells are complete" in page and "Cells without numbers" in page
    audience = Silent()
    sweeping.resume_sweep(poisoned, workers=sweeping.Workers(2, "cpu"), audience=audience)
    assert audience.notes == ["2 of 4 cells are complete already", "2 cells: 2 runs of 1 cell"]


def test_a_worker_outlives_the_server_that_forked_it(tmp_path: Path) -> None:
    """The server is killed while it plays, and the run is complete all the same."""
    from multiprocessing import forkserver

    with Sweep.begun(tmp_path / "out", RING, tiny("seed=0..1"), 2) as sweep:
        crew, first = Processes(1), sweep.packs[0]
        worker = crew.start(sweep.folder(first).path, first.recipe)
        os.kill(forkserver._forkserver._forkserver_pid, signal.SIGKILL)
        while (end := worker.end()) is None:
            crew.wait(0.1)
        assert end == End() and is_complete(sweep.folder(first).path)
        second = crew.start(sweep.folder(sweep.packs[1]).path, sweep.packs[1].recipe)
        while (end := second.end()) is None:
            crew.wait(0.1)
        assert end == End(), "and there is another server"
        crew.dismiss()


def test_files_of_a_strangers_sweep_are_believed_as_far_as_they_make_sense(whole: Sweep) -> None:
    run = whole.folder(whole.runs()[0])
    run.write_summary(run.summary().model_copy(update={"metrics": {"modes": MetricValue(value=(1.0,))}}))
    assert [result.status for result in results(whole)] == ["failed", "failed", "complete", "complete"]
    (whole.path / "aside.json").write_text(json.dumps({"0000x2": {"status": "\x1b[31m", "reason": "x" * 999}}))
    told = results(whole)[0]
    assert "\x1b" not in told.status and len(told.reason) < 300


@pytest.mark.parametrize(
    ("options", "told"), [({"gpus_per_run": 0.5}, "gpus-per-run"), ({"address": "nonsense"}, "--address nonsense")]
)
def test_workers_that_cannot_be_are_refused_before_anything_is_made(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        sweeping.Workers(**options)
    assert sweeping.Workers(address="ray://host:10001", gpus_per_run=0.5).expected
