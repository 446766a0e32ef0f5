"""A ledger on disk: read it, judge it again, and find what does not follow from its cells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

from sparring.claims.cells import ClaimCell, cells_of_scale
from sparring.claims.entries import LedgerEntry, digest_of, entry_path
from sparring.claims.figures import figure_paths, figures_of
from sparring.claims.judgement import judged
from sparring.claims.schema import Claim
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
    return [
        f"{path}: {problem}" for path, entry in entries.items() for problem in _problems(folder, path, entry, claims)
    ]


def _problems(folder: Path, path: Path, entry: LedgerEntry, claims: Mapping[str, Claim]) -> list[str]:
    if entry.name not in claims or path != entry_path(folder, entry.name, entry.scale):
        return [f"{entry.name}: no such claim, or not in its place"]
    claim = claims[entry.name]
    problems = [*_of_cells(entry, cells_of_scale(claim.scale(entry.scale), entry.name))]
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
    for cell in entry.cells:
        name = ", ".join(f"{axis} {label}" for axis, label in cell.labels.items()) or "the only cell"
        meant = by_labels.get(_identity(cell.labels))
        if meant is None or meant.key != cell.key:
            problems.append(f"{name}: the claim has no cell of this recipe ({cell.key})")
            continue
        if cell.seeds and tuple(cell.seeds) != entry.seeds:
            problems.append(f"{name}: its seeds are not those of the other cells")
        rounds = meant.source.steps if isinstance(meant.source, TrainingRecipe) else 0
        if any(each.rounds != rounds and not each.failed for each in cell.seeds.values()):
            problems.append(f"{name}: was not trained for the {rounds:,} rounds of its recipe")
    return problems


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
