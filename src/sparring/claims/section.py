"""What the page of a ledger shows of one claim at one scale."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparring.claims.charts.value_axis import value_axis
from sparring.claims.claim_schema import Claim, Scale, ScaleName
from sparring.claims.entries import JudgedStatement, LedgerEntry, PlayedCell
from sparring.claims.results import ClaimValues
from sparring.claims.values import Published, labels_match
from sparring.claims.verdicts import Verdict
from sparring.report.format import NONE, counted
from sparring.report.seed_mean import SeedMean, seed_mean

_SHORT = 130
"""Letters of an assertion in the table, at most."""
SCALES: dict[ScaleName, str] = {"small": "small scale", "paper": "the paper's scale"}

_DOES: dict[Verdict, tuple[str, str]] = {
    "holds": ("holds", "hold"),
    "contradicted": ("is contradicted", "are contradicted"),
    "undecided": ("is undecided", "are undecided"),
    "not comparable": ("is not comparable", "are not comparable"),
    "not played": ("is not played", "are not played"),
}
"""What one does that has the verdict, and what several do."""


@dataclass(frozen=True)
class DrawnChart:
    """A chart on the page.

    Args:
        key: of its ids.
        title: above it.
        caption: below it.
        svg: the element.
    """

    key: str
    title: str
    caption: str
    svg: str


@dataclass(frozen=True)
class PrintedRow:
    """A number in print and ours.

    Args:
        what: the measure, and the cells that it is about.
        printed: with its spread.
        source: where it is printed, and what else is to be known.
        ours: mean over seeds with its interval.
    """

    what: str
    printed: str
    source: str
    ours: str


@dataclass(frozen=True)
class CellRow:
    """One cell with the means of its numbers.

    Args:
        cell: as the ledger has it.
        seeds: that were played; those that failed are marked.
        means: one for each measure that is a number.
    """

    cell: PlayedCell
    seeds: str
    means: tuple[str, ...]


@dataclass(frozen=True)
class ClaimSection:
    """One claim at one scale.

    Args:
        key: unique on the page.
        name: of the claim.
        claim: what is asserted.
        scale_name: `small` or `paper`.
        entry: of the ledger; None if it was not played.
    """

    key: str
    name: str
    claim: Claim
    scale_name: ScaleName
    entry: LedgerEntry | None

    @property
    def paper(self) -> str:
        """The short name of its paper."""
        return self.name.partition("/")[0]

    @property
    def scale(self) -> Scale:
        """What is played."""
        return self.claim.scale(self.scale_name)

    @property
    def scale_title(self) -> str:
        """The scale in words."""
        return SCALES["small" if self.scale_name == "small" and self.budget else "paper"]

    @property
    def budget(self) -> str:
        """What is smaller than in the paper."""
        return self.entry.budget if self.entry else self.scale.budget

    @property
    def scale_words(self) -> str:
        """The scale with what is smaller than in the paper."""
        return f"{self.scale_title}{f' ({self.budget})' if self.budget else ''}"

    @property
    def verdict(self) -> Verdict:
        """On the claim."""
        return self.entry.verdict if self.entry else "not played"

    @property
    def seconds(self) -> float:
        """Seconds of training by the clock."""
        return self.entry.seconds if self.entry else 0.0

    @property
    def command(self) -> str:
        """What plays it."""
        return f"sparring reproduce {self.name}{' --scale paper' if self.scale_name == 'paper' else ''}"

    @property
    def short(self) -> str:
        """The assertion, cut after a word."""
        text = " ".join(self.claim.asserts.split())
        return text if len(text) <= _SHORT else f"{text[:_SHORT].rsplit(' ', 1)[0].rstrip(',;:.')} …"

    @property
    def decisive(self) -> JudgedStatement | None:
        """The first statement that has the verdict of the claim."""
        statements = self.entry.statements if self.entry else ()
        return next((each for each in statements if each.verdict == self.verdict and each.mean is not None), None)

    @property
    def sentence(self) -> str:
        """The verdict in one sentence, with the verdicts on its statements."""
        if self.entry is None:
            return "Not played. The command below plays it; with --plan it says first what that costs."
        counts = Counter(each.verdict for each in self.entry.statements)
        ordered = sorted(counts, key=lambda verdict: verdict != self.verdict)
        whole = f"{self.verdict.capitalize()} at {self.scale_words}, {counted(len(self.entry.seeds), 'seed')}"
        several = len(self.entry.statements)
        if several == 1:
            return f"{whole}."
        if len(ordered) == 1:
            return f"{whole}: all {several} statements."
        return f"{whole}: of {several} statements, {counts_text({each: counts[each] for each in ordered})}."

    @property
    def charts(self) -> tuple[DrawnChart, ...]:
        """Its charts; none if it was not played."""
        if self.entry is None:
            return ()
        values = self.entry.values(self.claim)
        keys = [f"{self.key}-{place}" for place in range(1, len(self.claim.charts) + 1)]
        return tuple(
            DrawnChart(key, chart.heading, chart.caption, chart.draw(values, key))
            for key, chart in zip(keys, self.claim.charts, strict=True)
        )

    @property
    def printed(self) -> tuple[PrintedRow, ...]:
        """The numbers in print, beside ours."""
        values = self.entry.values(self.claim) if self.entry else ClaimValues(())
        return tuple(_printed_row(each, values) for each in self.claim.published)

    @property
    def numbers(self) -> tuple[str, ...]:
        """The measures that are numbers."""
        played = [each.values for cell in (self.entry.cells if self.entry else ()) for each in cell.seeds.values()]
        return tuple(
            name for name in self.claim.measures if any(isinstance(each.get(name), int | float) for each in played)
        )

    @property
    def protocols(self) -> dict[str, str]:
        """The names of the measures that share a protocol, by protocol."""
        found: dict[str, str] = {}
        for name, protocol in self.entry.protocols.items() if self.entry else ():
            found[protocol] = f"{found[protocol]}, {name}" if protocol in found else name
        return found

    @property
    def cell_count(self) -> str:
        """How many cells it has, in words."""
        return counted(len(self.cells), "cell")

    @property
    def cells(self) -> tuple[CellRow, ...]:
        """Its cells, with the means of their numbers."""
        return tuple(_cell_row(cell, self.numbers) for cell in (self.entry.cells if self.entry else ()))


def claim_sections(claims: Mapping[str, Claim], entries: Sequence[LedgerEntry]) -> list[ClaimSection]:
    """A section for every claim and scale that was played, small first; one for every claim that was not."""
    by_name = {(entry.name, entry.scale): entry for entry in entries}
    sections, used = list[ClaimSection](), set[str]()
    for name, claim in claims.items():
        scales = [scale for scale in SCALES if (name, scale) in by_name] or ["small"]
        for scale in scales:
            key = re.sub(r"[^A-Za-z0-9]+", "-", f"{name}{'' if scale == 'small' else '-at-paper-scale'}").strip("-")
            key = key if key not in used else f"{key}-{len(used)}"
            used.add(key)
            sections.append(ClaimSection(key, name, claim, scale, by_name.get((name, scale))))
    return sections


def counts_text(counts: Mapping[Verdict, int]) -> str:
    """How many have which verdict: `3 hold, 1 is contradicted and 2 are undecided`."""
    parts = [f"{count} {_DOES[verdict][count > 1]}" for verdict, count in counts.items()]
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def _printed_row(each: Published, values: ClaimValues) -> PrintedRow:
    info = value_axis(each.measure)
    where = ", ".join(
        f"{axis} {' or '.join(map(str, label)) if isinstance(label, tuple) else label}"
        for axis, label in each.where.items()
    )
    played = any(labels_match(cell.labels, each.where) and cell.seeds for cell in values.cells)
    ours = seed_mean(values.numbers(each.measure, each.where).tolist(), each.measure) if played else None
    spread = "" if each.spread is None else f" ± {info.printed(each.spread)}"
    source = "published code" if each.source == "code" else "paper"
    return PrintedRow(
        f"{each.measure.replace('_', ' ')}{f' ({where})' if where else ''}",
        f"{info.printed(each.value)}{spread}",
        f"{source}{f'; {each.note}' if each.note else ''}",
        mean_text(ours, each.measure),
    )


def mean_text(found: SeedMean | None, measure: str) -> str:
    """A mean with its 95 % interval."""
    if found is None:
        return NONE
    info = value_axis(measure)
    inside = found.within(info.low, info.high)
    interval = "" if inside.low == inside.high else f" [{info.text(inside.low)}, {info.text(inside.high)}]"
    return f"{info.text(found.mean)}{interval}"


def p_text(p: float | None) -> str:
    """A p-value."""
    return NONE if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _cell_row(cell: PlayedCell, measures: Sequence[str]) -> CellRow:
    means = []
    for measure in measures:
        found = [each.values.get(measure) for each in cell.seeds.values()]
        known = [float(one) for one in found if isinstance(one, int | float)]
        missing = f" (of {len(known)})" if 0 < len(known) < len(found) else ""
        means.append(f"{mean_text(seed_mean(known, measure), measure)}{missing}")
    seeds = ", ".join(f"{seed} (failed)" if each.failed else str(seed) for seed, each in sorted(cell.seeds.items()))
    return CellRow(cell, seeds or NONE, tuple(means))
