"""Executors: runs in other processes end as they would in this one, whatever happens to the processes."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path

import pytest

from sparring.core.errors import Interrupted, NonFinite, SparringError
from sparring.core.process import SILENT, Progress
from sparring.recipes import AnyRecipe, Recipe
from sparring.runs.folder import RunFolder
from sparring.sweeps.executor import Executor, LocalExecutor, Outcome, rounds_logged, status_of, train_run, train_runs

LONG = ("steps=10000000", "checkpoint_every=0")


class OnFirst(Progress):
    """Calls a function once, when the first rounds have been logged."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act: Callable[[], object] | None = act

    def advance(self, done: int, total: int) -> None:
        if done and self._act:
            act, self._act = self._act, None
            act()


def _stop() -> None:
    raise KeyboardInterrupt


@pytest.fixture
def executor() -> Iterator[Executor]:
    with LocalExecutor(2) as local:
        yield local
    assert not multiprocessing.active_children(), "workers have ended"


def test_an_error_of_one_run_is_yielded_and_the_others_are_complete(
    executor: LocalExecutor, short: Callable[..., Recipe], tmp_path: Path
) -> None:
    runs = {tmp_path / str(seed): short(f"seed={seed}") for seed in range(2)}
    runs[tmp_path / "wild"] = short("optimizers.generator={name: sgd, lr: 1e+30}")
    outcomes = dict(train_runs(runs, executor, SILENT))
    wild = outcomes.pop(tmp_path / "wild")
    assert isinstance(wild, NonFinite) and wild.exit_code == 6
    assert "loop.py" in wild.__notes__[0], "the traceback of the worker is attached"
    assert list(outcomes.values()) == [None, None] and {status_of(path) for path in outcomes} == {"complete"}


def test_runs_are_saved_when_the_block_is_left(short: Callable[..., Recipe], tmp_path: Path) -> None:
    runs = {tmp_path / str(seed): short(*LONG, "log_every=1", f"seed={seed}") for seed in range(3)}
    with pytest.raises(KeyboardInterrupt), LocalExecutor(2) as executor:
        list(train_runs(runs, executor, OnFirst(_stop)))
    first = RunFolder.open(tmp_path / "0")
    assert first.saved() and not first.is_owned()
    assert status_of(first.path) == "interrupted"
    assert not (tmp_path / "2").exists(), "it was still waiting"


class Dying(Executor):
    """Its workers die, after so many rounds each."""

    workers, tries = 1, 3

    def __init__(self, rounds: list[int]) -> None:
        self.left = rounds

    def submit(self, path: Path, recipe: AnyRecipe) -> Future[Outcome]:
        path.mkdir(exist_ok=True)
        future: Future[Outcome] = Future()
        if self.left:
            (path / "metrics.jsonl").write_text(f'{{"step": {self.left.pop(0)}}}\n{{"st')
            future.set_exception(BrokenProcessPool())
        else:
            future.set_result(None)
        return future

    def shutdown(self) -> None:
        pass


def test_a_run_is_given_up_after_three_deaths_without_a_new_round(short: Callable[..., Recipe], run_path: Path) -> None:
    recipe = short()
    with closing(train_runs({run_path: recipe}, Dying([3, 3, 6, 9, 9]), SILENT)) as outcomes:
        assert next(outcomes) == (run_path, None)
    ((_, error),) = train_runs({run_path: recipe}, Dying([3, 6, 6, 6]), SILENT)
    assert "3 worker processes in a row died without a round beyond 6" in str(error)


def test_rounds_are_those_of_the_last_whole_row(tmp_path: Path) -> None:
    assert rounds_logged(tmp_path) == 0
    (tmp_path / "metrics.jsonl").write_text('{"step": 3}\n{"step": 6, "a": [1]}\n{"step": 9')
    assert rounds_logged(tmp_path) == 6
    for long in (1 << 17, 1 << 16, (1 << 16) - 20):
        (tmp_path / "metrics.jsonl").write_text(f'{{"step": 3}}\n{{"a": "{long * "x"}", "step": 6}}\n')
        assert rounds_logged(tmp_path) == 6


@pytest.mark.parametrize("error", [Interrupted("cause", "remedy", 15), NonFinite("a")])
def test_errors_are_pickled_with_their_notes(error: SparringError) -> None:
    error.add_note("where")
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is type(error) and str(arrived) == str(error)
    assert (arrived.cause, arrived.remedy, arrived.exit_code) == (error.cause, error.remedy, error.exit_code)
    assert arrived.__notes__ == ["where"]


def test_an_unexpected_error_is_an_outcome(short: Callable[..., Recipe], run_path: Path) -> None:
    run_path.write_text("a file where the folder should be")
    outcome = train_run(run_path / "below", short().model_dump(mode="json"), "cpu")
    assert isinstance(outcome, SparringError)
