"""What a claim costs before it is played: cells, rounds, hours and disk, from a few timed rounds of its recipes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sparring.claims.cells import ClaimCell, packs_of, started_from
from sparring.claims.computations import Computation
from sparring.classifier.state import ClassifierState
from sparring.classifier.step import train_step
from sparring.core.errors import SparringError
from sparring.core.process import SILENT, Progress
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.recipes import AnyRecipe
from sparring.runs.environment import choose_device
from sparring.runs.folder import KEEP
from sparring.training.load import new_state
from sparring.training.loop import train

TIMED = 1.0
"""Seconds of rounds that are timed, after one that is not."""
_FEWEST = 2
"""Rounds that are timed at least."""


@dataclass(frozen=True)
class ClaimPlan:
    """The cost of a claim.

    Args:
        name: of the claim.
        cells: different recipes and computations, with those that they start from.
        games: cells times seeds.
        rounds: of all runs; packed games share a round.
        hours: on so many workers, without measurements; None where a recipe cannot be timed here.
        gigabytes: of checkpoints.
        reason: why it cannot be timed.
    """

    name: str
    cells: int
    games: int
    rounds: int
    hours: float | None
    gigabytes: float | None
    reason: str = ""


@dataclass(frozen=True)
class Timing:
    """Seconds of a round of a run, and bytes of its checkpoints."""

    seconds: float
    size: int


class RoundTimer:
    """Times rounds of recipes; recipes that differ in objective, feedback, seed and length only are timed once.

    Args:
        scratch: a folder for runs of one round, from which other cells start.
        device: as of `train`.
    """

    def __init__(self, scratch: Path, device: str) -> None:
        self._scratch, self._device = scratch, device
        self._timings: dict[str, Timing] = {}

    def timing(self, cell: ClaimCell, recipe: AnyRecipe) -> Timing:
        """Seconds and bytes of a run of a cell.

        Raises:
            SparringError: the data are not there, or cannot be used.
        """
        alike = recipe.model_copy(update={"seed": 0, "steps": 1})
        key = alike.model_dump_json(exclude={"objective", "feedback", "description"})
        if key not in self._timings:
            self._timings[key] = self._time(self._startable(cell, recipe))
        return self._timings[key]

    def _startable(self, cell: ClaimCell, recipe: AnyRecipe) -> AnyRecipe:
        """The recipe, with a run of one round in the place of the run that it starts from."""
        if cell.parent is None:
            return recipe
        assert not isinstance(cell.parent.source, Computation)
        path = self._scratch / cell.parent.key
        if not path.exists():
            short = {"steps": 1, "evaluate_every": 0, "sample_every": 0}
            parent = cell.parent.source
            known = {key: value for key, value in short.items() if key in type(parent).model_fields}
            train(self._startable(cell.parent, parent.model_copy(update=known)), path, device=self._device)
        return started_from(cell, recipe, path, 0)

    def _time(self, recipe: AnyRecipe) -> Timing:
        state = new_state(recipe, choose_device(self._device))
        size = sum(tensor.numel() * tensor.element_size() for tensor in state.state().values())
        # Processor time of a CPU is the same on a busy machine; a GPU has no such clock.
        clock = time.process_time if state.device.type == "cpu" else time.perf_counter
        _round(state, 0)
        began, rounds = clock(), 0
        while rounds < _FEWEST or clock() - began < TIMED:
            rounds += 1
            _round(state, rounds)
        return Timing((clock() - began) / rounds, size * KEEP)


def _round(state: GANState | ClassifierState, step: int) -> None:
    if isinstance(state, GANState):
        play_round(state, step)
    else:
        train_step(state, step)


def plan_claims(
    wanted: Mapping[str, Sequence[ClaimCell]], workers: int, device: str = "auto", progress: Progress = SILENT
) -> list[ClaimPlan]:
    """The cost of every claim by itself; cells that claims share are counted in each.

    Rounds are timed with the threads that torch has; workers have one.

    Args:
        wanted: cells by claim, as `cells_of` gives them.
        workers: runs at a time.
        device: as of `train`.
        progress: counts claims.
    """
    plans = list[ClaimPlan]()
    with tempfile.TemporaryDirectory() as scratch:
        timer = RoundTimer(Path(scratch), device)
        for done, (name, cells) in enumerate(wanted.items()):
            progress.advance(done, len(wanted))
            plans.append(_plan(name, cells, workers, timer))
        progress.advance(len(wanted), len(wanted))
    return plans


def _plan(name: str, cells: Sequence[ClaimCell], workers: int, timer: RoundTimer) -> ClaimPlan:
    different = {each.key: each for cell in cells for each in cell.line}
    games = sum(len(cell.seeds) for cell in different.values())
    runs = [
        (cell, pack.recipe)
        for cell in different.values()
        if not isinstance(cell.source, Computation)
        for pack in packs_of(cell, cell.seeds, partial(_with_seed, cell.source))
    ]
    rounds = sum(recipe.steps for _, recipe in runs)
    try:
        timings = [timer.timing(cell, recipe) for cell, recipe in runs]
    except SparringError as error:
        return ClaimPlan(name, len(different), games, rounds, None, None, error.cause.partition("\n")[0])
    seconds = sum(timing.seconds * recipe.steps for timing, (_, recipe) in zip(timings, runs, strict=True))
    hours = seconds / 3600 / max(1, min(workers, len(runs)))
    return ClaimPlan(name, len(different), games, rounds, hours, sum(timing.size for timing in timings) / 1e9)


def _with_seed(recipe: AnyRecipe, seed: int) -> AnyRecipe:
    return recipe.model_copy(update={"seed": seed})
