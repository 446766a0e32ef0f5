"""The trainer: rounds of whatever is trained, and what is due between them."""

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
from sparring.core.progress import SILENT, Progress
from sparring.core.signals import Stopped, StopRequest, stop_request
from sparring.gan.state import GANState
from sparring.monitoring.alarms import AlarmMonitor
from sparring.monitoring.collapse_metrics import check_interval
from sparring.recipes import AnyRecipe
from sparring.runs.environment import choose_device, describe
from sparring.runs.folder import RunFolder
from sparring.runs.schema import SUMMARY, Summary
from sparring.runs.tensorboard import RowWriter, event_writer
from sparring.training.classifier_task import ClassifierTask
from sparring.training.follower import play_along, stop_asked
from sparring.training.gan_task import GANTask
from sparring.training.load import Loaded, begun, load_game
from sparring.training.task import Task


def train(recipe: AnyRecipe, out: Path, *, device: str = "auto", progress: Progress = SILENT) -> Summary:
    """Play a recipe in a new run folder and return its summary.

    Everything that can be wrong with the recipe or the data is found before the folder is made. Processes that
    `torchrun` started play one game, each a part of every batch; the first one writes the folder.

    Args:
        recipe: what is played.
        out: the run folder.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        progress: counts rounds.

    Raises:
        UsageError, CorruptInput: the recipe or the data cannot be used.
        FolderBusy: another process owns the folder.
        StorageError: the disk refused.
        NonFinite: the game's numbers turned non-finite; the last checkpoint is good.
        Interrupted: a signal came; everything is saved.
    """
    with process_group(device) as (group, name):
        place = choose_device(name)
        if not group.is_first:
            return _along(out, begun(recipe, place, group), 0)
        RunFolder.require_free(out)
        training = _training(begun(recipe, place, group), progress)
        with RunFolder.created(out, recipe, describe(place, recipe.seed)) as run:
            return _Session(run, training, progress, group, start=0, seconds=0.0).play()


def resume(path: Path, *, device: str = "auto", threads: int = 0, progress: Progress = SILENT) -> Summary:
    """Continue a run from its newest sound checkpoint and return its summary.

    On a CPU the run ends bit-identical to one that was never stopped, if as many threads play it. Processes that
    `torchrun` started resume together what as many played.

    Args:
        path: the run folder.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads, for as long as this plays; 0 takes as many as played the run so far.
        progress: counts rounds.

    Raises:
        The same as `train`; CorruptInput if no checkpoint is sound.
    """
    run = RunFolder.open(path)
    with process_group(device) as (group, name), _own_threads():
        if not group.is_first:
            loaded = _found(run, name, threads, group)
            return _along(path, loaded.game, loaded.step)
        with run.owned():
            loaded = _found(run, name, threads, group)
            for remark in loaded.remarks():
                progress.note(remark)
            run.rewind(loaded.step, loaded.log_bytes)
            training = _training(loaded.game, progress)
            return _Session(run, training, progress, group, start=loaded.step, seconds=loaded.seconds).play()


@contextlib.contextmanager
def _own_threads() -> Iterator[None]:
    """A block after which torch computes with as many threads as before."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _found(run: RunFolder, device: str, threads: int, group: ProcessGroup) -> Loaded:
    """What the run trains, once every process of the group has read it."""
    loaded = load_game(run, device, group)
    torch.set_num_threads(threads or loaded.threads or torch.get_num_threads())
    latest = group.maximum(loaded.step)
    if latest != loaded.step:
        raise SparringError(
            f"{run.path}: process {group.part.rank} finds round {loaded.step}, another finds round {latest}",
            "let all processes see the same folder",
        )
    return loaded


def _along(path: Path, game: GANState | ClassifierState, start: int) -> Summary:
    assert isinstance(game, GANState), "a classifier is refused to several processes"
    play_along(game, start)
    return Summary.read(path / SUMMARY)


def _training(game: GANState | ClassifierState, progress: Progress) -> Task:
    return GANTask(game, progress) if isinstance(game, GANState) else ClassifierTask(game)


class _Session:
    """One process's part of a run.

    A signal is heard after the round, however long that is. What is due then (a measurement, pictures) may take
    minutes, and is cut short: the run is saved as it was before anybody looked, and the next start looks first. So a
    checkpoint is always the state after a round and before its row.
    """

    def __init__(
        self,
        run: RunFolder,
        training: Task,
        progress: Progress,
        group: ProcessGroup,
        *,
        start: int,
        seconds: float,
    ) -> None:
        self.run, self.training, self.progress, self.group = run, training, progress, group
        self.recipe = training.recipe
        self.start = self.done = start
        self.began = time.monotonic() - seconds
        self.alarm_monitor = AlarmMonitor(self.recipe, run.rows())

    def play(self) -> Summary:
        for remark in [*self.recipe.warnings(), *self.training.remarks()]:
            self.progress.note(remark)
        try:
            with stop_request() as request, event_writer(self.run.path / "tb", self.start) as events:
                try:
                    self._rounds(events, request)
                    with request.interruptible():
                        summary = self._summarise("complete")
                    self.group.maximum(0)  # the others wait for it
                    return summary
                except Stopped as stop:
                    raise self._interrupted(stop) from None
        except SparringError as error:
            with contextlib.suppress(SparringError):  # the first error is the one to tell
                self._summarise(error.status)
            raise

    def _rounds(self, events: RowWriter, request: StopRequest) -> None:
        recipe, training = self.recipe, self.training
        self._look(events, request)
        for step in range(self.start, recipe.steps):
            self.done = step + 1
            try:
                training.play(step)
            except NotFiniteStep as failed:
                self._refuse(training.locate(step) or str(failed), failed.replicas)
            stopping = stop_asked(request, self.group)  # asked once, so that what is saved and what is said agree
            if stopping or self._is_last or self._is_due(recipe.checkpoint_every):
                self._save(training.state())
            if stopping:
                raise Stopped(stopping)
            self._look(events, request)
            self.progress.advance(self.done, recipe.steps)

    @property
    def _is_last(self) -> bool:
        return self.done == self.recipe.steps

    def _is_due(self, every: int) -> bool:
        return every > 0 and (self._is_last or self.done % every == 0)

    def _look(self, events: RowWriter, request: StopRequest) -> None:
        """Picture, measure and log what is due after the rounds so far; the row comes last, and says that all is done.

        Raises:
            Stopped: a signal cut it short; the state from before is saved.
        """
        recipe, played = self.recipe, self.done > 0
        measures = played and self._is_due(recipe.evaluate_every)
        means = measures or self._is_last or (played and self._is_due(recipe.log_every))
        checks = played and self._is_due(check_interval(recipe.steps))
        pictures = self._is_due(self.training.picture_every)
        before = self.training.state() if measures or pictures else {}  # a row without them is not cut short
        try:
            if pictures:
                with request.interruptible():
                    self.training.save_pictures(self.run, self.done)
            row: dict[str, Any] = {"step": self.done}
            if means:
                row |= self.training.log.means()
            if measures:
                with request.interruptible():
                    row |= self.training.measure(self.done)
            if checks:
                row |= self.training.collapse_metrics(self.done)
            if means or checks:
                self._log(row, events)
        except Stopped:
            if self.done > self.start:  # else it is what this session was given
                self._save(before)
            raise

    def _log(self, row: dict[str, Any], events: RowWriter) -> None:
        """Add a row, and tell of what has collapsed."""
        self._refuse(next((name for name, value in row.items() if not _is_finite(value)), None))
        self.run.append_row(row)
        events(row)
        for line in self.alarm_monitor.add(row):
            self.progress.note(line)

    def _save(self, state: dict[str, Tensor]) -> None:
        self.run.save(
            self.done,
            state,
            seconds=self._seconds(),
            threads=torch.get_num_threads(),
            processes=self.group.part.of,
            space=self.training.source.facts.space,
        )

    def _refuse(self, site: str | None, replicas: Sequence[int] = ()) -> None:
        """End the run where something is not finite."""
        if site is not None:
            games = "; ".join(map(self.recipe.title, replicas))
            raise NonFinite(
                f"round {self.done}: not finite: {site}{f' ({games})' if games else ''}", self.training.remedy
            )

    def _interrupted(self, stop: Stopped) -> Interrupted:
        return Interrupted(
            f"{stop.signal.name} after round {self.done} of {self.recipe.steps}; everything is saved",
            f"continue with `sparring resume {self.run.path}`",
            stop.signal,
        )

    def _summarise(self, status: str) -> Summary:
        summary = Summary(
            recipe=self.recipe.model_dump(mode="json"),
            steps=self.done,
            status=status,
            seconds=round(self._seconds(), 2),
            metrics=self.training.metrics(self.run.rows(), complete=status == "complete"),
            alarms=tuple(self.alarm_monitor.alarms()),
        )
        self.run.write_summary(summary)
        return summary

    def _seconds(self) -> float:
        return time.monotonic() - self.began


def _is_finite(value: Any) -> bool:
    """Whether a number of the log is finite, or all of them with replicas."""
    return all(math.isfinite(each) for each in (value if isinstance(value, list) else [value]) if each is not None)
