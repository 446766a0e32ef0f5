"""The trainer: rounds of whatever is trained, and what is due between them."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import torch

from sparring.engine.classifier_training import ClassifierTraining
from sparring.engine.environment import choose_device, describe
from sparring.engine.events import Events, events_in
from sparring.engine.game import Game
from sparring.engine.game_training import GameTraining
from sparring.engine.opening import begun, load_game
from sparring.engine.pupil import Pupil
from sparring.engine.rundir import RunFolder
from sparring.engine.signals import stop_wish
from sparring.engine.spectator import Nobody, Spectator
from sparring.engine.training import Training
from sparring.errors import Interrupted, NonFinite, SparringError
from sparring.recipes import AnyRecipe


def train(recipe: AnyRecipe, out: Path, *, device: str = "auto", spectator: Spectator | None = None) -> dict[str, Any]:
    """Play a recipe in a new run folder and return its summary.

    Everything that can be wrong with the recipe or the data is found before the folder is made.

    Args:
        recipe: what is played.
        out: the run folder.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        spectator: who follows.

    Raises:
        UsageError, CorruptInput: the recipe or the data cannot be used.
        FolderBusy: another process owns the folder.
        StorageError: the disk refused.
        NonFinite: the game's numbers turned non-finite; the last checkpoint is good.
        Interrupted: a signal came; everything is saved.
    """
    watcher, place = spectator or Nobody(), choose_device(device)
    RunFolder.require_free(out)
    training = _training(begun(recipe, place), watcher)
    run = RunFolder.create(out, recipe, describe(place, recipe.seed))
    with run.owned():
        return _Session(run, training, watcher, start=0, seconds=0.0).play()


def resume(path: Path, *, device: str = "auto", threads: int = 0, spectator: Spectator | None = None) -> dict[str, Any]:
    """Continue a run from its newest sound checkpoint and return its summary.

    On a CPU the run ends bit-identical to one that was never stopped, if as many threads play it.

    Args:
        path: the run folder.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        threads: CPU threads; 0 takes as many as played the run so far.
        spectator: who follows.

    Raises:
        The same as `train`; CorruptInput if no checkpoint is sound.
    """
    run, watcher = RunFolder.open(path), spectator or Nobody()
    with run.owned():
        loaded = load_game(run, device)
        for remark in loaded.remarks():
            watcher.note(remark)
        torch.set_num_threads(threads or loaded.threads or torch.get_num_threads())
        run.rewind(loaded.step, loaded.log_bytes)
        training = _training(loaded.game, watcher)
        return _Session(run, training, watcher, start=loaded.step, seconds=loaded.seconds).play()


def _training(game: Game | Pupil, spectator: Spectator) -> Training:
    return GameTraining(game, spectator) if isinstance(game, Game) else ClassifierTraining(game)


class _Session:
    """One process's part of a run."""

    def __init__(
        self,
        run: RunFolder,
        training: Training,
        spectator: Spectator,
        *,
        start: int,
        seconds: float,
    ) -> None:
        self.run, self.training, self.spectator = run, training, spectator
        self.recipe = training.recipe
        self.start = self.done = start
        self.began = time.monotonic() - seconds

    def play(self) -> dict[str, Any]:
        for remark in [*self.recipe.warnings(), *self.training.remarks()]:
            self.spectator.note(remark)
        try:
            with contextlib.closing(events_in(self.run.path / "tb", self.start)) as events:
                self._rounds(events)
        except SparringError as error:
            with contextlib.suppress(SparringError):  # the first error is the one to tell
                self._summarise(error.status)
            raise
        return self._summarise("complete")

    def _rounds(self, events: Events) -> None:
        recipe, training = self.recipe, self.training
        if self.start == 0 and training.picture_every:
            training.save_pictures(self.run, 0)
        with stop_wish() as wish:
            for step in range(self.start, recipe.steps):
                training.play(step)
                self._require_finite(step)
                self.done = done = step + 1
                last = done == recipe.steps
                stopping = wish.signal  # asked once, so that what is saved and what is said agree
                if last or _due(done, recipe.log_every) or _due(done, recipe.evaluate_every):
                    self._log(done, last, events)
                if training.picture_every and (last or _due(done, training.picture_every)):
                    training.save_pictures(self.run, done)
                if last or stopping or _due(done, recipe.checkpoint_every):
                    self._save(done)
                self.spectator.played(done, recipe.steps)
                if stopping and not last:
                    raise Interrupted(
                        f"{stopping.name} after round {done} of {recipe.steps}; everything is saved",
                        f"continue with `sparring resume {self.run.path}`",
                        stopping,
                    )

    def _require_finite(self, step: int) -> None:
        site = self.training.watch.first_bad()
        if site:
            raise NonFinite(f"round {step + 1}: not finite: {site}", self.training.remedy)

    def _log(self, done: int, last: bool, events: Events) -> None:
        row: dict[str, Any] = {"step": done} | self.training.watch.means()
        if self.recipe.evaluate_every and (last or _due(done, self.recipe.evaluate_every)):
            row |= self.training.measure(done)
        self.run.append_row(row)
        events.add(row)

    def _save(self, done: int) -> None:
        self.run.save(
            done,
            self.training.state(),
            seconds=self._seconds(),
            threads=torch.get_num_threads(),
            space=self.training.source.facts.space,
        )

    def _summarise(self, status: str) -> dict[str, Any]:
        summary = {
            "recipe": self.recipe.model_dump(mode="json"),
            "steps": self.done,
            "status": status,
            "seconds": round(self._seconds(), 2),
            "metrics": self.training.metrics(self.run.rows(), complete=status == "complete"),
        }
        self.run.write_summary(summary)
        return summary

    def _seconds(self) -> float:
        return time.monotonic() - self.began


def _due(done: int, every: int) -> bool:
    return every > 0 and done % every == 0
