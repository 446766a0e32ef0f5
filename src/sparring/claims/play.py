"""Play claims: train what is missing, measure every game once, and judge what is there.

Cells of one key are one cell, whichever claims ask for them. Seeds of a cell are packed as in a sweep. A claim that was
stopped at any moment continues with what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path

from sparring.claims.cells import ClaimCell, cells_of_scale, key_of, packs_of, started_from
from sparring.claims.claim_schema import RUNS, Claim, ScaleName
from sparring.claims.computations import Computation
from sparring.claims.entries import LedgerEntry
from sparring.claims.figures import write_figures
from sparring.claims.games import (
    CellSeed,
    RunIndex,
    StoredGame,
    computed_game,
    failure,
    known_games,
    played_cells,
    played_game,
    unplayable_game,
)
from sparring.claims.judgement import judge_statements, judged, require_equal_budgets, unplayed
from sparring.claims.ledger import read_ledger
from sparring.claims.measures import Measure
from sparring.claims.values import Where, labels_match
from sparring.core.errors import NonFinite, UsageError
from sparring.core.files import storage_errors
from sparring.core.process import SILENT, Progress
from sparring.recipes import AnyRecipe
from sparring.runs.folder import RunFolder
from sparring.runs.lock import owned_with_runs
from sparring.sweeps.executor import Executor, train_runs
from sparring.sweeps.grid import Pack


@dataclass(frozen=True)
class PlayOptions:
    """What of a claim is played.

    Args:
        scale: `small` or `paper`.
        seeds: in place of those of the claim.
        where: labels of the cells that are played; all by default.
        runs: other folders whose complete runs are taken over.
        device: where games are measured, as of `train`.
    """

    scale: ScaleName = "small"
    seeds: tuple[int, ...] = ()
    where: Where = field(default_factory=dict)
    runs: tuple[Path, ...] = ()
    device: str = "auto"


def cells_of(name: str, claim: Claim, options: PlayOptions) -> tuple[ClaimCell, ...]:
    """The cells of a claim that are played.

    Raises:
        UsageError: a recipe is invalid, a statement reads cells that are not there, budgets are unequal, or no cell has
            a label that the options name.
    """
    cells = cells_of_scale(claim.scale(options.scale), name, options.seeds)
    try:
        judge_statements(claim, unplayed(cells))
    except UsageError as error:
        raise UsageError(f"{name}: a statement cannot be judged: {error.cause}", error.remedy) from None
    require_equal_budgets(name, claim, cells)
    axes = {axis for cell in cells for axis in cell.labels}
    unknown = [axis for axis in options.where if axis not in axes]
    if unknown:
        raise UsageError(f"{name}: has no axis {unknown[0]!r}", f"its axes are {', '.join(sorted(axes)) or 'none'}")
    for axis, wanted in options.where.items():
        labels = {str(cell.labels[axis]) for cell in cells if axis in cell.labels}
        for label in wanted if isinstance(wanted, tuple) else (wanted,):
            if str(label) not in labels:
                raise UsageError(f"{name}: no cell has {axis} {label}", f"there are {', '.join(sorted(labels))}")
    chosen = tuple(
        cell
        for cell in cells
        if labels_match(cell.labels, {axis: label for axis, label in options.where.items() if axis in cell.labels})
    )
    if not chosen:
        raise UsageError(f"{name}: no cell has {options.where}", "see the labels with --plan")
    return chosen


def play(
    claims: Mapping[str, Claim], options: PlayOptions, out: Path, *, executor: Executor, progress: Progress = SILENT
) -> dict[str, LedgerEntry]:
    """Play claims into a ledger, and judge them.

    Args:
        claims: by name.
        options: what of them.
        out: folder of the ledger.
        executor: trains the runs; it is shut down at the end.
        progress: follows the rounds.

    Returns:
        The entries of the claims that have games, by name.

    Raises:
        UsageError: a claim or a recipe is invalid.
        FolderBusy: another process plays into the ledger.
        StorageError: the disk refused.
        SparringError: what the first run failed with, but for numbers that are not finite: those are a result.
    """
    wanted = {name: cells_of(name, claim, options) for name, claim in claims.items()}
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is no folder", "give another one for the ledger")
    with storage_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    with executor, owned_with_runs(out, f"{RUNS}/*/*"):
        player = _Player(claims, wanted, options, out, progress)
        player.measure_what_is_there()
        for depth in range(1, player.deepest + 1):
            player.train(depth, executor)
        return player.entries


@dataclass
class _Player:
    """One call of `play`."""

    claims: Mapping[str, Claim]
    wanted: Mapping[str, Sequence[ClaimCell]]
    options: PlayOptions
    out: Path
    progress: Progress
    entries: dict[str, LedgerEntry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        held = read_ledger(self.out).values()
        self.games: dict[CellSeed, StoredGame] = known_games(held)
        self.index = RunIndex.of(self.out, self.options.runs)
        self.cells: dict[str, ClaimCell] = {}
        self.measures: dict[CellSeed, dict[str, Measure]] = {}
        self.seeds: dict[str, set[int]] = {}
        self.every = {
            name: cells_of_scale(claim.scale(self.options.scale), name) for name, claim in self.claims.items()
        }
        for name, cells in self.wanted.items():
            before = (entry.seeds for entry in held if (entry.name, entry.scale) == (name, self.options.scale))
            self.seeds[name] = {*chain(*before), *chain(*(cell.seeds for cell in cells))}
            for cell in cells:
                for each in cell.line:
                    self._take(each)
                taken = [each for each in self.claims[name].measures.values() if each.is_of(cell.labels)]
                for seed in cell.seeds:
                    self._measures(cell, seed).update({measure.key: measure for measure in taken})

    def _take(self, cell: ClaimCell) -> None:
        held = self.cells.setdefault(cell.key, cell)
        self.cells[cell.key] = replace(held, seeds=tuple(sorted({*held.seeds, *cell.seeds})))

    def _measures(self, cell: ClaimCell, seed: int) -> dict[str, Measure]:
        """What the claims that ask for a game measure of it."""
        return self.measures.setdefault((cell.key, seed), {})

    @property
    def deepest(self) -> int:
        """How many cells the longest chain of parents has."""
        return max((len(cell.line) for cell in self.cells.values()), default=0)

    def measure_what_is_there(self) -> None:
        """Compute what needs no training, measure complete runs, and judge claim by claim."""
        for name, cells in self.wanted.items():
            for cell in cells:
                for seed in cell.seeds:
                    if self._is_known(cell, seed):
                        continue
                    if isinstance(cell.source, Computation):
                        self._keep(cell, seed, computed_game(cell.source, seed, self._measures(cell, seed).values()))
                    elif (cell.key, seed) in self.index.games:
                        self._measure(cell, seed)
            self._judge([name])

    def train(self, depth: int, executor: Executor) -> None:
        """Train the missing runs of the cells whose line has this length."""
        behind: dict[Path, tuple[ClaimCell, Pack]] = {}
        for cell in self.cells.values():
            if len(cell.line) != depth:
                continue
            missing = [seed for seed in cell.seeds if self._must_train(cell, seed) and not self._is_lost(cell, seed)]
            for pack in packs_of(cell, missing, partial(self._recipe, cell)):
                folder = self.out / RUNS / cell.key
                folder.mkdir(parents=True, exist_ok=True)
                behind[folder / f"{pack.recipe.seed}x{len(pack.cells)}"] = cell, pack
        runs = {path: pack.recipe for path, (_, pack) in behind.items()}
        for path, error in train_runs(runs, executor, self.progress):
            if error and not isinstance(error, NonFinite):
                raise error
            cell, pack = behind[path]
            self.index.add(path, cell.key)
            if error and (cell.key, pack.recipe.seed) not in self.index.games:
                raise error  # it has no summary: the numbers were not those of its training
            for game in pack.cells:
                if not self._is_known(cell, game.recipe.seed):
                    self._measure(cell, game.recipe.seed)
            self._judge(self._asking(cell))

    def _asking(self, cell: ClaimCell) -> list[str]:
        """The claims that ask for a cell."""
        return [name for name, cells in self.wanted.items() if any(each.key == cell.key for each in cells)]

    def _is_known(self, cell: ClaimCell, seed: int) -> bool:
        measures = self._measures(cell, seed)
        return not measures or ((cell.key, seed) in self.games and self.games[cell.key, seed].has(measures.values()))

    def _must_train(self, cell: ClaimCell, seed: int) -> bool:
        """Whether the run of a game is missing, and its values, or those of a game that starts from it, are too."""
        if isinstance(cell.source, Computation) or (cell.key, seed) in self.index.games:
            return False
        children = [each for each in self.cells.values() if each.parent is not None and each.parent.key == cell.key]
        return not self._is_known(cell, seed) or any(self._must_train(child, seed) for child in children)

    def _is_lost(self, cell: ClaimCell, seed: int) -> bool:
        """Whether the game that another one starts from failed: it is not played, and has failed itself."""
        for parent in cell.line[:-1]:
            path, index = self.index.games[parent.key, seed]
            if failed := failure(path, index):
                measures, rounds = self._measures(cell, seed).values(), self._recipe(cell, seed).steps
                self._keep(cell, seed, unplayable_game(path, measures, f"{parent.name} {failed}", rounds))
                self._judge(self._asking(cell))
                return True
        return False

    def _recipe(self, cell: ClaimCell, seed: int) -> AnyRecipe:
        """The recipe of one game, with the run folder of its parent."""
        assert not isinstance(cell.source, Computation)
        recipe = cell.source.model_copy(update={"seed": seed})
        if cell.parent is None:
            return recipe
        return started_from(cell, recipe, *self.index.games[cell.parent.key, seed])

    def _measure(self, cell: ClaimCell, seed: int) -> None:
        path, index = self.index.games[cell.key, seed]
        if cell.parent is None and key_of(RunFolder(path).recipe()) != cell.key:
            cause = f"{path}: its recipe is not that of the cell, whose defaults may have changed since it was trained"
            raise UsageError(cause, "move the folder away; the cell is then trained again")
        try:
            game = played_game(path, index, seed, self._measures(cell, seed).values(), self.options.device)
        except UsageError as error:
            raise UsageError(f"{cell.name}: {error.cause}", error.remedy) from None
        self._keep(cell, seed, game)

    def _keep(self, cell: ClaimCell, seed: int, game: StoredGame) -> None:
        self.games[cell.key, seed] = game.joined(self.games.get((cell.key, seed)))

    def _judge(self, names: Iterable[str]) -> None:
        """Judge claims again, and write their entries and figures."""
        for name in names:
            claim = self.claims[name]
            cells, environments, protocols = played_cells(
                self.every[name], claim.measures, self.games, self.seeds[name]
            )
            if any(cell.seeds for cell in cells):
                entry = judged(name, claim, self.options.scale, cells, environments, protocols)
                entry.save(self.out)
                write_figures(self.out, entry, claim)
                self.entries[name] = entry
