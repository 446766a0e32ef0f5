"""Several runs side by side, whose workers stop together and lose nothing.

A worker that is killed (the machine is out of memory, say) is followed by another, which goes on from the last
checkpoint, as long as there is progress. Where workers work is a crew's business: processes of this machine, or tasks
of a cluster.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparring.core.errors import SparringError
from sparring.core.progress import Spectator
from sparring.recipes import AnyRecipe, validated
from sparring.runs.folder import RunFolder
from sparring.training.loop import resume, train

TRIES = 3
"""Workers of one run that may be killed in a row without a round that none before them played."""
TICK = 0.5
"""Seconds between two looks at the progress."""
SEE_ALONE = "train its recipe.yaml alone, with --debug"
"""What to do about an error that nobody foresaw."""

Runs = Mapping[Path, AnyRecipe]
"""Recipes by run folder."""
Followed = Callable[[int, int], None]
"""Told how much of something is done, and how much there is."""


@dataclass(frozen=True)
class End:
    """How a worker ended: with its run complete, with an error, or killed.

    Args:
        error: what it failed with.
        killed: by what.
    """

    error: Exception | None = None
    killed: str = ""


class Worker(ABC):
    """Plays a run to its end, elsewhere."""

    @property
    @abstractmethod
    def played(self) -> int:
        """Rounds that the run is known to have."""

    @abstractmethod
    def end(self) -> End | None:
        """How it ended; None while it works."""


class Crew(ABC):
    """Where workers work.

    Attributes:
        size: how many at a time.
    """

    size: int

    @abstractmethod
    def start(self, path: Path, recipe: AnyRecipe) -> Worker:
        """A new worker, for the run at this path."""

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Wait until a worker may have ended, or so long."""

    @abstractmethod
    def dismiss(self) -> None:
        """Have every worker save and end; an exception meanwhile ends what is left of them at once."""


class Referee(ABC):
    """Who is told how runs end, and says what follows."""

    @abstractmethod
    def played(self, done: int, total: int) -> None:
        """So many rounds of all runs are played."""

    @abstractmethod
    def completed(self, path: Path) -> None:
        """A run is played to its end."""

    @abstractmethod
    def failed(self, path: Path, error: Exception) -> Runs:
        """A run failed: runs to be played as well, if any; or raises, which stops all."""


class Strict(Referee):
    """One run that fails stops the others.

    Args:
        followed: told of the rounds.
    """

    def __init__(self, followed: Followed) -> None:
        self._followed = followed

    def played(self, done: int, total: int) -> None:
        self._followed(done, total)

    def completed(self, path: Path) -> None:
        pass

    def failed(self, path: Path, error: Exception) -> Runs:
        raise error


def play_side_by_side(runs: Runs, referee: Referee, crew: Crew) -> None:
    """Play every recipe in its folder, as many at a time as the crew has workers; stopped runs go on.

    An exception here (a signal's, say) stops every run, saved; a second one while they save kills what is left.

    Args:
        runs: the recipes by run folder.
        referee: says what follows from a run that failed.
        crew: who plays them; dismissed at the end.

    Raises:
        Exception: what the referee raises.
    """
    seats = [_Seat(path, recipe, crew) for path, recipe in runs.items()]
    waiting, playing = list(seats), list[_Seat]()
    try:
        while waiting or playing:
            while waiting and len(playing) < crew.size:
                playing.append(waiting.pop(0).taken())
            crew.wait(TICK)
            for seat in list(playing):
                try:
                    if not seat.is_complete():
                        continue
                    referee.completed(seat.path)
                except Exception as error:
                    more = [_Seat(path, recipe, crew) for path, recipe in referee.failed(seat.path, error).items()]
                    seats, waiting = seats + more, waiting + more
                playing.remove(seat)
            referee.played(sum(seat.played for seat in seats), sum(seat.rounds for seat in seats))
    finally:
        crew.dismiss()


def play_run(path: Path, values: Mapping[str, Any], *, device: str, spectator: Spectator) -> None:
    """What a worker does: begin the run, or go on with it; one that is complete stays.

    Args:
        path: the run folder.
        values: the recipe, as plain values.
        device: as of `train`.
        spectator: who follows.

    Raises:
        The same as `train` and `resume`.
    """
    recipe = validated(values, str(path))
    if not (path / "recipe.yaml").is_file():
        train(recipe, path, device=device, spectator=spectator)
    elif not is_complete(path):
        resume(path, device=device, spectator=spectator)
    spectator.played(recipe.steps, recipe.steps)


def is_complete(path: Path) -> bool:
    """Whether the run at this path is played to its end.

    Raises:
        CorruptInput: its summary is damaged.
    """
    summary = RunFolder.open(path).summary() if (path / "recipe.yaml").is_file() else None
    return summary is not None and summary.status == "complete"


class _Seat:
    """A run, and the workers that play it one after another."""

    def __init__(self, path: Path, recipe: AnyRecipe, crew: Crew) -> None:
        self.path, self._recipe, self._crew = path, recipe, crew
        self._worker: Worker | None = None
        self._reached, self._killed = 0, 0

    @property
    def rounds(self) -> int:
        """Of the whole run."""
        return self._recipe.steps

    @property
    def played(self) -> int:
        """Rounds, of the worker that came furthest."""
        return max(self._reached, self._worker.played if self._worker else 0)

    def taken(self) -> _Seat:
        """Put a new worker to work."""
        self._worker = self._crew.start(self.path, self._recipe)
        return self

    def is_complete(self) -> bool:
        """Whether the run is played to its end; a worker that was killed is followed by another.

        Raises:
            Exception: what the worker failed with.
        """
        end = self._worker.end() if self._worker else None
        if end is None:
            return False
        if end.error:
            raise end.error
        if end.killed:
            self._go_on(end.killed)
            return False
        return True

    def _go_on(self, killed: str) -> None:
        self._killed = 0 if self.played > self._reached else self._killed + 1
        self._reached = self.played
        if self._killed == TRIES:
            raise SparringError(
                f"{self.path}: {TRIES} workers were killed in a row ({killed}), "
                f"none of which came beyond round {self._reached}",
                "see who kills them (the kernel does when memory runs out), then run the same command again",
            )
        self.taken()
