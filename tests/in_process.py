"""An executor without processes."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

from sparring.recipes import AnyRecipe
from sparring.sweeps.executor import Executor, Outcome, train_run


class InProcess(Executor):
    """Trains every run in this process, except for what a test plans.

    Args:
        planned: by name of the run, the errors with which its first workers end.
    """

    workers, tries = 2, 3

    def __init__(self, planned: dict[str, list[Outcome]] | None = None) -> None:
        self.planned, self.started = planned or {}, list[str]()

    def submit(self, path: Path, recipe: AnyRecipe) -> Future[Outcome]:
        self.started.append(path.name)
        future: Future[Outcome] = Future()
        planned = self.planned.get(path.name)
        future.set_result(planned.pop(0) if planned else train_run(path, recipe.model_dump(mode="json"), "cpu"))
        return future

    def shutdown(self) -> None:
        pass
