"""The page of a ledger: a table of all claims, then a section for each with its charts, in one self-contained file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from sparring.claims.claim_schema import Claim
from sparring.claims.entries import LedgerEntry
from sparring.claims.load import claim_files
from sparring.claims.section import ClaimSection, claim_sections, counts_text, p_text
from sparring.claims.verdicts import VERDICTS
from sparring.core.files import write_whole
from sparring.report.format import counted
from sparring.report.page_file import html_of

_FILTERS: dict[str, Callable[..., Any]] = {
    "markup": Markup,  # of charts, which escape every text
    "slug": lambda verdict: verdict.replace(" ", "-"),
    "p": p_text,
}
_PACKAGES = ("sparring.claims", "sparring.report")


@dataclass(frozen=True)
class PaperSections:
    """The claims of one paper.

    Args:
        name: short, as in the names of its claims.
        title: with its authors.
        sections: one for each claim and scale.
    """

    name: str
    title: str
    sections: tuple[ClaimSection, ...]


def write_page(path: Path, claims: Mapping[str, Claim], entries: Iterable[LedgerEntry]) -> Path:
    """Write the page of a ledger and return its path.

    Args:
        path: of the page.
        claims: all claims by name; those without an entry are shown as not played.
        entries: of the ledger. Those of claims that are not given are left out.

    Raises:
        StorageError: the disk refused.
    """
    sections = claim_sections(claims, tuple(entries))
    names = dict.fromkeys(section.paper for section in sections)
    titles = {name: file.paper for name, file in claim_files().items()}
    papers = tuple(
        PaperSections(name, titles.get(name, name), tuple(each for each in sections if each.paper == name))
        for name in names
    )
    values = {
        "title": "What the papers assert, and what came out",
        "totals": totals(claims, sections),
        "papers": papers,
        "verdicts": [verdict for verdict in VERDICTS if any(each.verdict == verdict for each in sections)],
        "seconds": seconds_of([section.entry for section in sections if section.entry]),
    }
    page = html_of(
        "ledger_page.html",
        scripts=("ledger_page.js",),
        styles=("page.css", "ledger_page.css"),
        values=values,
        filters=_FILTERS,
        packages=_PACKAGES,
    )
    write_whole(path, page.encode())
    return path


def seconds_of(entries: Iterable[LedgerEntry]) -> float:
    """Seconds of training of all games by the clock; one that several entries have is counted once."""
    games = {
        (cell.key, seed): game.seconds for each in entries for cell in each.cells for seed, game in cell.seeds.items()
    }
    return sum(games.values())


def totals(claims: Mapping[str, Claim], sections: Sequence[ClaimSection]) -> str:
    """How many claims have which verdict; a claim that was played at both scales has that of the paper's own."""
    verdicts = {section.name: section.verdict for section in sections}
    counts = Counter(verdicts.values())
    listed = counts_text({each: counts[each] for each in VERDICTS if counts[each]})
    papers = len({name.partition("/")[0] for name in claims})
    return f"Of {counted(len(claims), 'claim')} of {counted(papers, 'paper')}, {listed}." if claims else "No claims."
