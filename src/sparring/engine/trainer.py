"""The trainer: rounds, and what is due between them."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch

from sparring.engine.attack_study import AttackStudy
from sparring.engine.checkpoint import Checkpoint
from sparring.engine.environment import choose_device, describe
from sparring.engine.events import Events, events_in
from sparring.engine.exhibits import save_exhibits
from sparring.engine.gallery import save_samples
from sparring.engine.game import Game
from sparring.engine.loading import load_game
from sparring.engine.measuring import Measures
from sparring.engine.probing import Probe
from sparring.engine.round import play_round
from sparring.engine.rundir import RunFolder
from sparring.engine.signals import stop_wish
from sparring.engine.summary import last_noted, summarise
from sparring.errors import Interrupted, NonFinite, SparringError
from sparring.recipes import Recipe


@runtime_checkable
class Spectator(Protocol):
    """Who follows a run: a progress bar, or nobody."""

    def note(self, text: str) -> None:
        """A line that a user should read."""

    def played(self, done: int, total: int) -> None:
        """`done` of `total` rounds are played; called after every round."""


class Nobody:
    """A spectator who does not look."""

    def note(self, text: str) -> None:
        pass

    def played(self, done: int, total: int) -> None:
        pass


def train(recipe: Recipe, out: Path, *, device: str = "auto", spectator: Spectator | None = None) -> dict[str, Any]:
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
    game = Game(recipe, recipe.data.open(place), place)
    measures = _measures(game, watcher)
    run = RunFolder.create(out, recipe, describe(place, recipe.seed))
    with run.owned():
        return _Session(run, game, measures, watcher, start=0, seconds=0.0).play()


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
        for problem in loaded.problems:
            watcher.note(f"{problem}; falling back to round {loaded.step}")
        torch.set_num_threads(threads or loaded.threads or torch.get_num_threads())
        run.rewind(loaded.step, loaded.log_bytes)
        measures = _measures(loaded.game, watcher)
        session = _Session(run, loaded.game, measures, watcher, start=loaded.step, seconds=loaded.seconds)
        return session.play()


def _measures(game: Game, spectator: Spectator) -> Measures | None:
    if not game.recipe.evaluate_every:
        return None
    spectator.note("preparing the measures")
    measures = Measures(game.recipe, game.source, game.device)
    if not measures.metrics:
        spectator.note(
            "no measure of G applies to these data: images without labels have no classifier of ours, "
            "so name one, extractor={name: inception, weights: FILE}"
        )
    return measures


class _Session:
    """One process's part of a run."""

    def __init__(
        self,
        run: RunFolder,
        game: Game,
        measures: Measures | None,
        spectator: Spectator,
        *,
        start: int,
        seconds: float,
    ) -> None:
        self.run, self.game, self.measures, self.spectator = run, game, measures, spectator
        self.recipe = game.recipe
        self.probe = Probe(game.source, game.device)
        self.start = self.done = start
        self.began = time.monotonic() - seconds

    def play(self) -> dict[str, Any]:
        for remark in [*self.recipe.warnings(), *self._remarks()]:
            self.spectator.note(remark)
        try:
            with contextlib.closing(events_in(self.run.path / "tb", self.start)) as events:
                self._rounds(events)
        except SparringError as error:
            with contextlib.suppress(SparringError):  # the first error is the one to tell
                self._summarise(error.status)
            raise
        return self._summarise("complete")

    def _remarks(self) -> list[str]:
        return self.recipe.regime.remarks(couples_samples=self.game.couples_samples)

    def _rounds(self, events: Events) -> None:
        recipe, game = self.recipe, self.game
        if self.start == 0 and recipe.sample_every:
            self._picture(0)
        with stop_wish() as wish:
            for step in range(self.start, recipe.steps):
                play_round(game, step)
                self._require_finite(step)
                self.done = done = step + 1
                last = done == recipe.steps
                stopping = wish.signal  # asked once, so that what is saved and what is said agree
                if last or _due(done, recipe.log_every) or _due(done, recipe.evaluate_every):
                    self._log(done, last, events)
                if recipe.sample_every and (last or _due(done, recipe.sample_every)):
                    self._picture(done)
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
        site = self.game.watch.first_bad()
        if site:
            raise NonFinite(
                f"round {step + 1}: not finite: {site}",
                "train again with lower learning rates, or with another control of D's Lipschitz constant",
            )

    def _log(self, done: int, last: bool, events: Events) -> None:
        row: dict[str, Any] = {"step": done} | self.game.watch.means()
        if self.measures and (last or _due(done, self.recipe.evaluate_every)):
            samples = self.game.draw(self.measures.samples, "measure", done).samples
            row |= self.measures.measure(samples, packed=bool(self.recipe.lead))
            row |= self.probe.measure(self.game, done)
        self.run.append_row(row)
        events.add(row)

    def _picture(self, done: int) -> None:
        save_samples(self.game, self.run, done)
        save_exhibits(self.game, self.probe, self.run, done)

    def _save(self, done: int) -> None:
        state = {
            "seconds": self._seconds(),
            "threads": torch.get_num_threads(),
            "space": self.game.source.facts.space,
        }
        self.run.save(done, Checkpoint(self.game.state(), state))

    def _summarise(self, status: str) -> dict[str, Any]:
        summary = {
            "recipe": self.recipe.model_dump(mode="json"),
            "steps": self.done,
            "status": status,
            "seconds": round(self._seconds(), 2),
            "metrics": self._metrics(self.measures, status) if self.measures else {},
        }
        self.run.write_summary(summary)
        return summary

    def _metrics(self, measures: Measures, status: str) -> dict[str, Any]:
        rows, study, probe = self.run.rows(), AttackStudy(), self.probe
        metrics = summarise(rows, measures) | last_noted(rows, probe.protocols())
        # The study's step is a share of the samples' range: points of the plane have none.
        if status == "complete" and probe.space.bounds is not None:
            metrics |= study.entries(self.game, probe.real, probe.space)
        return metrics

    def _seconds(self) -> float:
        return time.monotonic() - self.began


def _due(done: int, every: int) -> bool:
    return every > 0 and done % every == 0
