"""The charts of a claim as SVG files."""

from __future__ import annotations

from pathlib import Path

from sparring.claims.charts.svg_file import svg_file
from sparring.claims.claim_schema import Claim
from sparring.claims.entries import LedgerEntry
from sparring.core.files import write_whole


def figures_of(entry: LedgerEntry, claim: Claim) -> list[str]:
    """Every chart of the claim as an SVG document, drawn from the cells of the entry."""
    values = entry.values(claim)
    keys = [f"{entry.name.replace('/', '-')}-{place}" for place in range(1, len(claim.charts) + 1)]
    return [
        svg_file(chart.draw(values, key), key, chart.heading) for key, chart in zip(keys, claim.charts, strict=True)
    ]


def figure_paths(folder: Path, entry: LedgerEntry, count: int) -> list[Path]:
    """The files of so many charts: figure-3.svg, figure-3-2.svg, ..."""
    scale = "" if entry.scale == "small" else ".paper"
    numbers = ("" if place == 1 else f"-{place}" for place in range(1, count + 1))
    return [folder / f"{entry.name}{number}{scale}.svg" for number in numbers]


def write_figures(folder: Path, entry: LedgerEntry, claim: Claim) -> list[Path]:
    """Draw every chart into its file.

    Raises:
        StorageError: the disk refused.
    """
    drawn = figures_of(entry, claim)
    paths = figure_paths(folder, entry, len(drawn))
    for path, svg in zip(paths, drawn, strict=True):
        write_whole(path, svg.encode())
    return paths
