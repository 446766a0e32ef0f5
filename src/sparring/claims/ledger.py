"""A ledger on disk: read it, judge it again, and find what does not follow from its cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import matplotlib

from sparring.claims.cells import ClaimCell, cells_of_scale
from sparring.claims.claim_schema import Claim
from sparring.claims.entries import LedgerEntry, PlayedCell, PlayedSeed, digest_of, entry_path
from sparring.claims.figures import figure_paths, figures_of
from sparring.claims.judgement import judged
from sparring.claims.values import Value
from sparring.core.errors import CorruptInput, UsageError
from sparring.core.files import read_file
from sparring.recipes import TrainingRecipe


def read_ledger(folder: Path) -> dict[Path, LedgerEntry]:
    """Every entry of a ledger by its file.

    Raises:
        CorruptInput: a file is damaged.
        StorageError: it cannot be read.
    """
    return {path: LedgerEntry.read(path) for path in sorted(folder.glob("*/*.json"))}


def check_ledger(folder: Path, claims: Mapping[str, Claim]) -> list[str]:
    """Judge every entry again from its cells, and draw its figures again.

    Args:
        folder: of the ledger.
        claims: all claims by name.

    Returns:
        What does not follow from the cells, a line each; empty if all does.

    Raises:
        UsageError: there is no entry.
        CorruptInput: a file is damaged.
    """
    entries = read_ledger(folder)
    if not entries:
        raise UsageError(f"{folder}: holds no ledger", "play a claim first: `sparring reproduce CLAIM --out DIR`")
    problems = [
        f"{path}: {problem}" for path, entry in entries.items() for problem in _problems(folder, path, entry, claims)
    ]
    return problems + _contradictions(entries) + _strays(folder, entries.values(), claims)


def _problems(folder: Path, path: Path, entry: LedgerEntry, claims: Mapping[str, Claim]) -> list[str]:
    if entry.name not in claims or path != entry_path(folder, entry.name, entry.scale):
        return [f"{entry.name}: no such claim, or not in its place"]
    claim = claims[entry.name]
    expected = cells_of_scale(claim.scale(entry.scale), entry.name)
    problems = [
        *_of_cells(entry, expected),
        *_of_games(entry, claim, expected),
    ]
    if digest_of(entry.cells) != entry.digest:
        problems.append("the cells are not those that were judged: their digest differs")
    if {name: measure.key for name, measure in claim.measures.items()} != entry.measures:
        problems.append("the measures of the claim have changed since it was played")
    if problems:
        return problems
    again = judged(entry.name, claim, entry.scale, entry.cells, entry.environments, entry.protocols)
    for name in ("verdict", "budget", "statements"):
        if getattr(again, name) != getattr(entry, name):
            problems.append(f"the {name} {'do' if name == 'statements' else 'does'} not follow from the cells")
    return problems + _of_figures(folder, entry, claim)


def _of_cells(entry: LedgerEntry, expected: tuple[ClaimCell, ...]) -> list[str]:
    """Cells that the claim does not have, or that were played otherwise than it says."""
    by_labels = {_identity(cell.labels): cell for cell in expected}
    problems = []
    if Counter(_identity(cell.labels) for cell in entry.cells) != Counter(list(by_labels)):
        problems.append("a cell of the claim is missing, or one is there twice or is not of the claim")
    for cell in entry.cells:
        name = _title(cell)
        meant = by_labels.get(_identity(cell.labels))
        if meant is None or meant.key != cell.key:
            problems.append(f"{name}: the claim has no cell of this recipe ({cell.key})")
            continue
        if cell.seeds and tuple(cell.seeds) != entry.seeds:
            problems.append(f"{name}: its seeds are not those of the other cells")
        rounds = _rounds(meant)
        if any(each.rounds != rounds and not each.failed for each in cell.seeds.values()):
            problems.append(f"{name}: was not trained for the {rounds:,} rounds of its recipe")
    return problems


def _rounds(cell: ClaimCell) -> int:
    """Of the games of a cell; 0 of a computation."""
    return cell.source.steps if isinstance(cell.source, TrainingRecipe) else 0


def _of_games(entry: LedgerEntry, claim: Claim, expected: tuple[ClaimCell, ...]) -> list[str]:
    """Games that lack a measure, have one of another claim, refer to no environment, or failed with a number."""
    rounds = {_identity(cell.labels): _rounds(cell) for cell in expected}
    problems = []
    for cell in entry.cells:
        taken = {name: measure for name, measure in claim.measures.items() if measure.is_of(cell.labels)}
        lost = {name: measure.of_failed(rounds.get(_identity(cell.labels), 0)) for name, measure in taken.items()}
        for seed, game in cell.seeds.items():
            name = f"{_title(cell)}, seed {seed}"
            if game.values.keys() != taken.keys():
                problems.append(f"{name}: its values are not those of the measures of the claim")
            elif game.failed and game.values != lost:
                problems.append(f"{name}: failed, and has values of a game that did not")
            if not 0 <= game.environment < len(entry.environments):
                problems.append(f"{name}: its environment is not in the file")
    return problems


def _contradictions(entries: Mapping[Path, LedgerEntry]) -> list[str]:
    """Entries that have another value of the same game than an entry before them, a line for each two files."""
    found: dict[tuple[str, int, str], tuple[Path, Value, str]] = {}
    problems: dict[tuple[Path, Path], str] = {}
    for path, entry in entries.items():
        for cell in entry.cells:
            for seed, game in cell.seeds.items():
                for name, value in game.values.items():
                    key = cell.key, seed, entry.measures.get(name, name)
                    device = _device(entry, game)
                    other, known, known_device = found.setdefault(key, (path, value, device))
                    if known != value:
                        cause = f"{path}: {_title(cell)}, seed {seed}: {name} is not that of the same game in {other}"
                        cause += f": {device}, not {known_device}" if device != known_device else ""
                        problems.setdefault((path, other), cause)
    return list(problems.values())


def _device(entry: LedgerEntry, game: PlayedSeed) -> str:
    """What a game was played on; two kinds of device round differently."""
    known = 0 <= game.environment < len(entry.environments)
    return str(entry.environments[game.environment].get("device", "")) if known else ""


def _strays(folder: Path, entries: Iterable[LedgerEntry], claims: Mapping[str, Claim]) -> list[str]:
    """Figures of no entry."""
    drawn = {
        path
        for entry in entries
        if entry.name in claims
        for path in figure_paths(folder, entry, len(claims[entry.name].charts))
    }
    return [
        f"{path}: is a figure of no entry; remove it" for path in sorted(folder.glob("*/*.svg")) if path not in drawn
    ]


def _title(cell: PlayedCell) -> str:
    return ", ".join(f"{axis} {label}" for axis, label in cell.labels.items()) or "the only cell"


def _identity(labels: Mapping[str, object]) -> frozenset[tuple[str, str]]:
    return frozenset((axis, str(label)) for axis, label in labels.items())


def _of_figures(folder: Path, entry: LedgerEntry, claim: Claim) -> list[str]:
    """Figures that are missing, or that differ when they are drawn again by the same version of the library."""
    problems = []
    same_version = entry.drawn_with == f"matplotlib {matplotlib.__version__}"
    drawn = figures_of(entry, claim)
    for path, svg in zip(figure_paths(folder, entry, len(drawn)), drawn, strict=True):
        try:
            stored = read_file(path)
        except CorruptInput:
            problems.append(f"{path.name}: missing")
            continue
        if same_version and stored != svg.encode():
            problems.append(f"{path.name}: is not what the cells give when it is drawn again")
    return problems
