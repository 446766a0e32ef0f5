"""Training: `train` and `resume`, each a loop of run, save, measure and log."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparring.classifier.state import ClassifierState
from sparring.core.descent import NotFiniteStep
from sparring.core.distributed import ProcessGroup, process_group
from sparring.core.errors import Interrupted, NonFinite, SparringError
from sparring.core.modules import same_noise
from sparring.core.process import SILENT, Progress
from sparring.core.signals import Stopped, StopRequest, stop_request
from sparring.gan.state import GANState
from sparring.loggers import RowWriter, require_loggers, row_stream
from sparring.monitoring.alarms import AlarmMonitor
from sparring.monitoring.collapse_metrics import check_interval
from sparring.recipes import AnyRecipe
from sparring.runs.environment import choose_device, describe
from sparring.runs.folder import RunFolder
from sparring.runs.own_data import with_prepared_data
from sparring.runs.resume_command import resume_command
from sparring.runs.schema import Summary
from sparring.training.along import stop_requested, train_along
from sparring.training.load import LoadedTraining, load_training, new_state
from sparring.training.summary import summary_of
from sparring.training.task import ClassifierTask, GANTask, Task


def train(
    recipe: AnyRecipe,
    out: Path,
    *,
    device: str = "auto",
    loggers: Sequence[str] = (),
    progress: Progress = SILENT,
) -> Summary:
    """Train a recipe in a new run folder and return its summary.

    The recipe and the data are checked before the folder is made. Processes started by `torchrun` train one GAN, each
    on its part of every batch; the first one writes the folder.

    Args:
        recipe: of the GAN or the classifier. Data that are images on disk and not a store are prepared into the cache.
        out: the run folder.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        loggers: names of further sinks of the log, as `wandb`.
        progress: counts rounds.

    Raises:
        UsageError, CorruptInput: the recipe or the data cannot be used.
        FolderBusy: another process owns the folder.
        StorageError: the disk refused.
        NonFinite: a loss or gradient is not finite; the last checkpoint is intact.
        Interrupted: a signal came; everything is saved.
    """
    called = time.monotonic()
    require_loggers(loggers)
    recipe = with_prepared_data(recipe, progress)
    with process_group(device) as (group, name):
        place = choose_device(name)
        if not group.is_first:
            return train_along(out, new_state(recipe, place, group), 0)
        RunFolder.require_free(out)
        task = _task(new_state(recipe, place, group), progress)
        environment = describe(place, recipe.seed, task.source.facts.count)
        with RunFolder.created(out, recipe, environment) as run:
            return _Session(run, task, progress, group, loggers, called=called).train()


def resume(
    path: Path,
    *,
    device: str = "auto",
    threads: int = 0,
    loggers: Sequence[str] = (),
    progress: Progress = SILENT,
) -> Summary:
    """Continue a run from its newest intact checkpoint and return its summary.

    On a CPU the run ends bit-identical to one that was never stopped, if the number of threads is the same. A run of
    several processes needs as many processes again.

    Args:
        path: the run folder.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads during the call; 0 takes as many as the run had so far.
        loggers: as in `train`; a run does not remember them.
        progress: counts rounds.

    Raises:
        The same as `train`; CorruptInput if no checkpoint is intact.
    """
    called, run = time.monotonic(), RunFolder.open(path)
    require_loggers(loggers)
    with process_group(device) as (group, name), _same_threads():
        if not group.is_first:
            loaded = _loaded(run, name, threads, group)
            return train_along(path, loaded.state, loaded.step)
        with run.owned():
            loaded = _loaded(run, name, threads, group)
            for remark in loaded.remarks():
                progress.note(remark)
            task = _task(loaded.state, progress)  # may refuse, before the log is cut
            run.rewind(loaded.step, loaded.log_bytes)
            times = {"called": called, "seconds": loaded.seconds}
            return _Session(run, task, progress, group, loggers, start=loaded.step, **times).train()


class _Session:
    """The loop of one call of `train` or `resume`.

    A signal takes effect after the round. A measurement or pictures that are due then may take minutes and are cut
    short: the state from before them is saved, and the next start does them first. So a checkpoint is always the state
    after a round and before its row of the log.
    """

    def __init__(
        self,
        run: RunFolder,
        task: Task,
        progress: Progress,
        group: ProcessGroup,
        loggers: Sequence[str] = (),
        *,
        called: float,
        start: int = 0,
        seconds: float = 0.0,
    ) -> None:
        self.run, self.task, self.progress, self.group, self.loggers = run, task, progress, group, loggers
        self.recipe = task.recipe
        self.start = self.done = start
        self.prepared = time.monotonic() - called
        self.began = time.monotonic() - seconds
        self.alarm_monitor = AlarmMonitor(self.recipe, run.rows())

    def train(self) -> Summary:
        """All rounds from the start on, and the summary."""
        for remark in [*self.recipe.warnings(), *self.task.remarks()]:
            self.progress.note(remark)
        try:
            stream = row_stream(self.run, self.recipe, self.start, self.loggers, self.progress)
            with stop_request() as request, stream as log, same_noise(self.task.streams.device):
                try:
                    self._rounds(log, request)
                    with request.interruptible():
                        summary = self._summarise("complete")
                    self.group.maximum(0)  # the other processes wait for this one
                    return summary
                except Stopped as stop:
                    raise self._interrupted(stop) from None
        except SparringError as error:
            with contextlib.suppress(SparringError):  # the first error is the one to report
                self.progress.note(self._summarise(error.status).verdict)
            raise

    def _rounds(self, log: RowWriter, request: StopRequest) -> None:
        recipe, task = self.recipe, self.task
        self._observe(log, request)
        for step in range(self.start, recipe.steps):
            # Run.
            self.done = step + 1
            try:
                task.train_round(step)
            except NotFiniteStep as failed:
                self._refuse(task.locate(step) or str(failed))
            # Save.
            stopping = stop_requested(request, self.group)
            if stopping or self._is_last or self._is_due(recipe.checkpoint_every):
                self._save(task.state())
            if stopping:
                raise Stopped(stopping)
            # Measure and log.
            self._observe(log, request)
            self.progress.advance(self.done, recipe.steps)

    def _observe(self, log: RowWriter, request: StopRequest) -> None:
        """Pictures, measurements and the log's row that are due; the row is last, and marks the round as observed.

        Raises:
            Stopped: a signal cut it short; the state from before is saved.
        """
        self.task.streams.seed_torch("measurements", self.done)
        recipe, trained = self.recipe, self.done > 0
        measures = trained and self._is_due(recipe.evaluate_every)
        means = measures or self._is_last or (trained and self._is_due(recipe.log_every))
        checks = trained and self._is_due(check_interval(recipe.steps))
        pictures = self._is_due(self.task.picture_every)
        before = self.task.state() if measures or pictures else {}  # nothing else is interruptible
        try:
            if pictures:
                with request.interruptible():
                    self.task.save_pictures(self.run, self.done)
            row: dict[str, Any] = {"step": self.done}
            if means:
                row |= self.task.means()
            if measures:
                with request.interruptible():
                    row |= self.task.measure(self.done)
            if checks:
                row |= self.task.collapse_metrics(self.done)
            if means or checks:
                self._log(row, log)
        except Stopped:
            if self.done > self.start:  # else this state is saved already
                self._save(before)
            raise

    def _log(self, row: dict[str, Any], log: RowWriter) -> None:
        """Add a row to the log, with the seconds that the run has taken so far, and raise alarms."""
        self._refuse(next((name for name, value in row.items() if not _is_finite(value)), None))
        row["seconds"] = round(self._seconds(), 3)
        log(row)
        for alarm in self.alarm_monitor.add(row):
            self.progress.note(alarm)

    def _save(self, state: dict[str, Tensor]) -> None:
        self.run.save(
            self.done,
            state,
            seconds=self._seconds(),
            threads=torch.get_num_threads(),
            processes=self.group.part.of,
            space=self.task.source.facts.space,
        )

    def _refuse(self, what: str | None) -> None:
        """End the run if something is not finite."""
        if what is not None:
            raise NonFinite(f"round {self.done}: not finite: {what}", self.task.remedy)

    def _interrupted(self, stop: Stopped) -> Interrupted:
        return Interrupted(
            f"{stop.signal.name} after round {self.done} of {self.recipe.steps}; everything is saved",
            f"continue with {resume_command(self.run.path, self.group.part.of)}",
            stop.signal,
        )

    def _summarise(self, status: str) -> Summary:
        summary = summary_of(
            self.run,
            self.task,
            self.alarm_monitor,
            steps=self.done,
            status=status,
            seconds=self._seconds(),
            preparation_seconds=self.prepared,
        )
        self.run.write_summary(summary)
        return summary

    @property
    def _is_last(self) -> bool:
        return self.done == self.recipe.steps

    def _is_due(self, every: int) -> bool:
        return every > 0 and (self._is_last or self.done % every == 0)

    def _seconds(self) -> float:
        return time.monotonic() - self.began


def _task(state: GANState | ClassifierState, progress: Progress) -> Task:
    return GANTask(state, progress) if isinstance(state, GANState) else ClassifierTask(state)


def _loaded(run: RunFolder, device: str, threads: int, group: ProcessGroup) -> LoadedTraining:
    """The state of a run, the same in every process of the group."""
    loaded = load_training(run, device, group)
    torch.set_num_threads(threads or loaded.threads or torch.get_num_threads())
    latest = group.maximum(loaded.step)
    if latest != loaded.step:
        raise SparringError(
            f"{run.path}: process {group.part.rank} finds round {loaded.step}, another finds round {latest}",
            "let all processes see the same folder",
        )
    return loaded


@contextlib.contextmanager
def _same_threads() -> Iterator[None]:
    """Torch's number of CPU threads is restored after the block."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _is_finite(value: Any) -> bool:
    """Whether a number of the log is finite; all of them for packed games."""
    return all(math.isfinite(each) for each in (value if isinstance(value, list) else [value]) if each is not None)
