"""The games behind a ledger: the values that are known, and the complete runs on disk."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import torch

from sparring.claims.cells import ClaimCell, key_of
from sparring.claims.claim_schema import RUNS
from sparring.claims.computations import Computation
from sparring.claims.entries import LedgerEntry, PlayedCell, PlayedSeed
from sparring.claims.measures import Measure
from sparring.claims.values import PlayedGame, Value
from sparring.report.read import read_run
from sparring.runs.environment import describe
from sparring.runs.folder import RunFolder
from sparring.runs.length import EARLIER
from sparring.runs.schema import SUMMARY, Summary

CellSeed = tuple[str, int]
"""The key of a cell and a seed."""


@dataclass(frozen=True)
class StoredGame:
    """What is known of one game.

    Args:
        values: by the key of the measure.
        protocols: likewise.
        seconds, rounds, images, played, failed: as `PlayedSeed`.
        environment: versions, commit and hardware.
    """

    values: dict[str, Value]
    protocols: dict[str, str]
    seconds: float
    played: date
    environment: dict[str, Any]
    rounds: int = 0
    images: int | None = None
    failed: str = ""

    def has(self, measures: Iterable[Measure]) -> bool:
        """Whether every measure has been taken."""
        return all(measure.key in self.values for measure in measures)

    def joined(self, other: StoredGame | None) -> StoredGame:
        """The values of both."""
        if other is None:
            return self
        return replace(self, values=other.values | self.values, protocols=other.protocols | self.protocols)


def known_games(entries: Iterable[LedgerEntry]) -> dict[CellSeed, StoredGame]:
    """The games of all entries of a ledger; a game that several entries have, with the values of all."""
    found: dict[CellSeed, StoredGame] = {}
    for entry in entries:
        for cell in entry.cells:
            for seed, each in cell.seeds.items():
                values = {entry.measures[name]: value for name, value in each.values.items()}
                protocols = {
                    entry.measures[name]: text for name, text in entry.protocols.items() if name in each.values
                }
                game = StoredGame(
                    values,
                    protocols,
                    each.seconds,
                    each.played,
                    entry.environments[each.environment],
                    each.rounds,
                    each.images,
                    each.failed,
                )
                found[cell.key, seed] = game.joined(found.get((cell.key, seed)))
    return found


@dataclass
class RunIndex:
    """The complete runs of a ledger and of other folders, by cell and seed.

    Args:
        games: the run folder and the index of the game in it.
    """

    games: dict[CellSeed, tuple[Path, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, ledger: Path, others: Iterable[Path]) -> RunIndex:
        """Search the runs of a ledger, and other folders at any depth."""
        index = cls()
        for recipe in sorted((ledger / RUNS).glob("*/*/recipe.yaml")):
            index.add(recipe.parent, recipe.parent.parent.name)
        for other in others:
            for recipe in sorted(other.rglob("recipe.yaml")):
                index.add(recipe.parent, key_of(RunFolder(recipe.parent).recipe()))
        return index

    def add(self, path: Path, key: str) -> None:
        """Take in a run that has ended: complete, or with numbers that were not finite.

        A run whose rounds followed two lengths equals no game.
        """
        folder = RunFolder(path)
        summary = folder.summary()
        if any(each.get("followed_by") for each in folder.environment().get(EARLIER, ())):
            return
        if summary is not None and summary.status in ("complete", "non-finite"):
            for game, seed in enumerate(_seeds(folder)):
                self.games.setdefault((key, seed), (path, game))


def failure(path: Path, index: int) -> str:
    """How a game of a run that has ended failed; empty if it did not.

    A packed game that diverged has failed, as a run of its own would have.
    """
    summary = Summary.read(path / SUMMARY)
    if summary.status != "complete":
        return f"{summary.status} after round {summary.steps:,}"
    since = summary.metrics["diverged"].estimates[index].value if "diverged" in summary.metrics else None
    return "" if since is None else f"diverged in round {since:,}"


def unplayable_game(path: Path, measures: Iterable[Measure], failed: str, rounds: int) -> StoredGame:
    """A game that cannot be played, as the one that it starts from failed.

    Args:
        path: the run of that one.
        measures: of the game.
        failed: how the other one failed.
        rounds: that the game was to have.
    """
    environment = _of_all_games(read_run(RunFolder(path)).environment)
    values = {each.key: each.of_failed(rounds) for each in measures}
    return StoredGame(values, {}, 0.0, _day(path), environment, failed=failed)


def played_game(path: Path, index: int, seed: int, measures: Iterable[Measure], device: str) -> StoredGame:
    """Measure one game of a run on a device."""
    folder = RunFolder(path)
    run, summary = read_run(folder), Summary.read(path / SUMMARY)
    game = PlayedGame(seed, run, index, device=device)
    failed = failure(path, index)
    values = {each.key: each.of_failed(run.recipe.steps) if failed else each.of(game) for each in measures}
    protocols = {} if failed else {each.key: text for each in measures if (text := each.protocol(game))}
    return StoredGame(
        values,
        protocols,
        round(summary.seconds / run.recipe.replicas, 2),
        _day(path),
        _of_all_games(run.environment),
        summary.steps,
        summary.images,
        failed,
    )


def _of_all_games(environment: Mapping[str, Any]) -> dict[str, Any]:
    """An environment without what differs between games of one machine."""
    return {key: value for key, value in environment.items() if key not in ("seed", "training_samples")}


def _day(path: Path) -> date:
    """When a run ended."""
    return datetime.fromtimestamp((path / SUMMARY).stat().st_mtime, UTC).date()


def computed_game(computation: Computation, seed: int, measures: Iterable[Measure]) -> StoredGame:
    """Compute, and measure the result."""
    began = datetime.now(UTC)
    game = PlayedGame(seed, computed=computation.compute(seed))
    seconds = (datetime.now(UTC) - began).total_seconds()
    environment = _of_all_games(describe(torch.device("cpu"), seed, 0))
    values = {each.key: each.of(game) for each in measures}
    protocols = {each.key: text for each in measures if (text := each.protocol(game))}
    return StoredGame(values, protocols, round(seconds, 2), began.date(), environment)


def played_cells(
    cells: Iterable[ClaimCell],
    measures: Mapping[str, Measure],
    games: Mapping[CellSeed, StoredGame],
    wanted: Collection[int],
) -> tuple[tuple[PlayedCell, ...], tuple[dict[str, Any], ...], dict[str, str]]:
    """The cells of an entry with the games that have all measures; a cell that was not played has none.

    Args:
        cells: of the claim.
        measures: of the claim, by name.
        games: that are known.
        wanted: seeds of the entry. Cells may have more, played for other claims: all cells of an entry have the same.

    Returns:
        The cells, the environments that they refer to, and the protocols by name of the measure.
    """
    environments: dict[str, int] = {}
    protocols: dict[str, dict[str, None]] = {}
    played = []
    for cell in cells:
        taken = {name: measure for name, measure in measures.items() if measure.is_of(cell.labels)}
        seeds = {}
        for seed in sorted(wanted):
            game = games.get((cell.key, seed))
            if game is None or not taken or not game.has(taken.values()):
                continue
            place = environments.setdefault(json.dumps(game.environment, sort_keys=True), len(environments))
            values = {name: game.values[measure.key] for name, measure in taken.items()}
            for name, each in taken.items():
                if each.key in game.protocols:
                    protocols.setdefault(name, {})[game.protocols[each.key]] = None
            seeds[seed] = PlayedSeed(
                values=values,
                seconds=game.seconds,
                rounds=game.rounds,
                images=game.images,
                played=game.played,
                environment=place,
                failed=game.failed,
            )
        played.append(PlayedCell(labels=cell.labels, source=cell.name, key=cell.key, seeds=seeds))
    texts = {name: "; in other games: ".join(each) for name, each in protocols.items()}
    return tuple(played), tuple(json.loads(text) for text in environments), texts


def _seeds(folder: RunFolder) -> Iterator[int]:
    recipe = folder.recipe()
    return iter(range(recipe.seed, recipe.seed + recipe.replicas))
