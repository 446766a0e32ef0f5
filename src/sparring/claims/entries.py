"""What a ledger holds for a claim: a JSON file with raw values by cell and seed, and how they were judged.

DIR/dishonest/figure-3.json         small scale; figure-3.paper.json has the paper's own
    dishonest/figure-3.svg          the charts, figure-3-2.svg and so on
    runs/KEY/                       the runs behind the values; they may be removed
    report.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import Field

from sparring.claims.claim_schema import Claim, ScaleName
from sparring.claims.results import CellValues, ClaimValues
from sparring.claims.values import Labels, Value
from sparring.claims.verdicts import Verdict
from sparring.core.files import json_bytes, write_whole
from sparring.runs.schema import Interval
from sparring.runs.stored_record import StoredRecord


class PlayedSeed(StoredRecord):
    """One game of a cell, or one computation.

    Args:
        values: by the name of the measure.
        seconds: of training, a game.
        rounds, images: that it was trained for, and real samples that it saw.
        played: the day.
        environment: index among the environments of the file.
        failed: how its run failed; its values are then those of a failure.
    """

    values: dict[str, Value]
    seconds: float
    rounds: int = 0
    images: int | None = None
    played: date
    environment: int = 0
    failed: str = ""


class PlayedCell(StoredRecord):
    """One cell.

    Args:
        labels: by axis.
        source: name of the recipe or the computation.
        key: of the recipe, as `cells.py` has it.
        seeds: by seed.
    """

    labels: Labels
    source: str
    key: str
    seeds: dict[int, PlayedSeed]


class JudgedStatement(StoredRecord):
    """One statement as it was judged.

    Args:
        text: as a formula.
        says: in words.
        seeds: with numbers on both sides.
        mean: over the seeds, of the difference of both sides less the margin, or of a value less its bound; None where
            it was not played.
        interval: 95 %.
        p: of the test against no difference.
        adjusted: after Holm's correction over the statements of the claim.
        method: of interval and test.
        verdict: on the statement.
        reason: why it is undecided or not comparable, where that is not the interval; or which seeds are left out.
    """

    text: str
    says: str
    seeds: int
    mean: float | None
    interval: Interval | None
    p: float | None
    adjusted: float | None
    method: str
    verdict: Verdict
    reason: str = ""


class LedgerEntry(StoredRecord):
    """A claim as it was played and judged at one scale.

    Args:
        name: of the claim, as `dishonest/figure-3`.
        scale: `small` or `paper`.
        budget: what is smaller than in the paper.
        verdict: on the claim.
        statements: as they were judged.
        measures: what each value is, as the key of its measure.
        protocols: what was measured and how, by measure.
        environments: versions, commit and hardware.
        cells: raw values.
        digest: SHA-256 of the cells.
        drawn_with: the version of the library that drew the charts.
    """

    name: str
    scale: ScaleName
    budget: str
    verdict: Verdict
    statements: tuple[JudgedStatement, ...]
    measures: dict[str, str]
    protocols: dict[str, str] = Field(default={})
    environments: tuple[dict[str, Any], ...]
    cells: tuple[PlayedCell, ...]
    digest: str
    drawn_with: str = ""

    @property
    def seconds(self) -> float:
        """Seconds of training of all games by the clock; a busy machine takes more."""
        return sum(seed.seconds for cell in self.cells for seed in cell.seeds.values())

    @property
    def played(self) -> date:
        """The day of the last game."""
        return max(seed.played for cell in self.cells for seed in cell.seeds.values())

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of all cells."""
        return tuple(sorted({seed for cell in self.cells for seed in cell.seeds}))

    def values(self, claim: Claim) -> ClaimValues:
        """The values as statements and charts read them."""
        return values_of(self.cells, claim)

    def save(self, folder: Path) -> None:
        """Write the entry into a ledger.

        Raises:
            StorageError: the disk refused.
        """
        path = entry_path(folder, self.name, self.scale)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, compact_json(self.model_dump(mode="json", exclude_defaults=True)))


def values_of(cells: tuple[PlayedCell, ...], claim: Claim) -> ClaimValues:
    """The values of cells as statements and charts read them."""
    return ClaimValues(
        tuple(CellValues(cell.labels, {seed: each.values for seed, each in cell.seeds.items()}) for cell in cells),
        claim.published,
    )


def entry_path(folder: Path, name: str, scale: ScaleName) -> Path:
    """The file of a claim in a ledger."""
    return folder / f"{name}{'' if scale == 'small' else '.paper'}.json"


def digest_of(cells: tuple[PlayedCell, ...]) -> str:
    """SHA-256 of cells and values."""
    return hashlib.sha256(json_bytes([cell.as_json() for cell in cells])).hexdigest()


_LINE_END = re.compile(r"\n\s+")


def compact_json(value: Mapping[str, Any]) -> bytes:
    """JSON whose innermost lists are on one line each."""
    text = json_bytes(value).decode()
    one_line = re.sub(r"\[\n\s+([^\[\]{}]*?)\n\s*\]", lambda found: f"[{_LINE_END.sub(' ', found[1])}]", text)
    return one_line.encode()
