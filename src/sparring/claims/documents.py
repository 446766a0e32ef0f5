"""Tables of a ledger in Markdown documents, between marks, so that no number is typed.

    <!-- ledger: totals -->                                    how many claims hold, and so on
    <!-- ledger: papers -->                                    the same, a row a paper
    <!-- ledger: verdicts [PAPER] -->                          a row a claim
    <!-- ledger: contradicted -->                              every statement that is contradicted
    <!-- ledger: statements CLAIM -->                          a row a statement
    <!-- ledger: values CLAIM MEASURE ... [AXIS=LABEL ...] --> a row a cell
    <!-- /ledger -->

What stands between two marks is replaced. A claim stands for its entry at small scale; NAME@paper for the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sparring.claims.claim_schema import Claim, ScaleName
from sparring.claims.entries import JudgedStatement, LedgerEntry, entry_path
from sparring.claims.load import claim_files
from sparring.claims.values import Where, labels_match
from sparring.claims.verdicts import VERDICTS
from sparring.core.errors import UsageError
from sparring.report.format import number
from sparring.report.metric_info import SUCCESS
from sparring.report.seed_mean import seed_mean

_BLOCK = re.compile(r"(<!-- ledger: ([^>]*?) -->\n).*?(<!-- /ledger -->)", re.DOTALL)


def with_tables(text: str, folder: Path, claims: Mapping[str, Claim]) -> str:
    """A document with every table written anew.

    Args:
        text: Markdown with marks.
        folder: of the ledger.
        claims: all claims by name.

    Raises:
        UsageError: a mark asks for no such table, or for a claim that was not played.
    """
    return _BLOCK.sub(lambda found: f"{found[1]}{_table(found[2].split(), folder, claims)}\n{found[3]}", text)


def _table(words: Sequence[str], folder: Path, claims: Mapping[str, Claim]) -> str:
    if not words or words[0] not in _TABLES:
        raise UsageError(f"no table {' '.join(words)!r}", f"there are {', '.join(_TABLES)}")
    return _TABLES[words[0]](words[1:], folder, claims)


def _totals(_words: Sequence[str], folder: Path, claims: Mapping[str, Claim]) -> str:
    """One sentence."""
    verdicts = [entry.verdict if entry else "not played" for entry in _entries(folder, claims).values()]
    counts = ", ".join(f"{verdict} {verdicts.count(verdict)}" for verdict in VERDICTS)
    return f"Of {len(verdicts)} claims, at the scale of a laptop or exactly: {counts}."


def _papers(_words: Sequence[str], folder: Path, claims: Mapping[str, Claim]) -> str:
    entries = _entries(folder, claims)
    rows = []
    for paper, file in claim_files().items():
        verdicts = [e.verdict if e else "not played" for name, e in entries.items() if name.startswith(f"{paper}/")]
        rows.append([file.paper, *(str(verdicts.count(verdict)) for verdict in VERDICTS)])
    return markdown(["paper", *VERDICTS], rows)


def _verdicts(words: Sequence[str], folder: Path, claims: Mapping[str, Claim]) -> str:
    rows = []
    for name, entry in _entries(folder, claims).items():
        if words and name.partition("/")[0] not in words:
            continue
        verdict = f"**{entry.verdict}**" if entry else "not played"
        seeds = str(len(entry.seeds)) if entry else ""
        rows.append([f"`{name}`", claims[name].place, verdict, seeds, entry.budget if entry else ""])
    return markdown(["claim", "place", "verdict", "seeds", "what is smaller than in the paper"], rows)


def _contradicted(_words: Sequence[str], folder: Path, claims: Mapping[str, Claim]) -> str:
    rows = [
        [f"`{name}`", *_judged_row(statement)[:-1]]
        for name, entry in _entries(folder, claims).items()
        for statement in (entry.statements if entry else ())
        if statement.verdict == "contradicted"
    ]
    return markdown(["claim", *_JUDGED[:-1]], rows)


def _statements(words: Sequence[str], folder: Path, claims: Mapping[str, Claim]) -> str:
    entry = _entry(words, folder, claims)
    return markdown(_JUDGED, [_judged_row(statement) for statement in entry.statements])


_JUDGED = ("statement", "mean difference", "95 % interval", "p (Holm)", "seeds", "verdict")


def _judged_row(statement: JudgedStatement) -> list[str]:
    return [
        statement.says or f"`{statement.text}`",
        number(statement.mean),
        "" if statement.interval is None else "[{}, {}]".format(*map(number, statement.interval)),
        number(statement.adjusted),
        str(statement.seeds),
        f"**{statement.verdict}**",
    ]


def _values(words: Sequence[str], folder: Path, claims: Mapping[str, Claim]) -> str:
    entry = _entry(words, folder, claims)
    measures = [word for word in words[1:] if "=" not in word]
    if unknown := [measure for measure in measures if measure not in entry.measures]:
        raise UsageError(f"{words[0]}: has no measure {unknown[0]!r}", f"it has {', '.join(entry.measures)}")
    where: Where = {
        axis: tuple(labels.split(",")) for axis, _, labels in (w.partition("=") for w in words[1:] if "=" in w)
    }
    cells = [cell for cell in entry.cells if cell.seeds and labels_match(cell.labels, where)]
    axes = list(dict.fromkeys(axis for cell in cells for axis in cell.labels))
    axes = [axis for axis in axes if len({str(cell.labels.get(axis)) for cell in cells}) > 1]
    rows = [
        [str(cell.labels.get(axis, "")) for axis in axes]
        + [
            mean_and_interval(measure, [seed.values.get(measure) for seed in cell.seeds.values()])
            for measure in measures
        ]
        for cell in cells
    ]
    return markdown([*axes, *measures], rows)


_TABLES: dict[str, Callable[[Sequence[str], Path, Mapping[str, Claim]], str]] = {
    "totals": _totals,
    "papers": _papers,
    "verdicts": _verdicts,
    "contradicted": _contradicted,
    "statements": _statements,
    "values": _values,
}


def mean_and_interval(measure: str, values: Sequence[object]) -> str:
    """The mean over games with its 95 % interval; the measure `success` as a count with Wilson's."""
    known = [float(value) for value in values if isinstance(value, int | float)]
    found = seed_mean(known, measure)
    if found is None:
        return "-"
    missing = f" (of {len(known)})" if len(known) < len(values) else ""
    if measure == SUCCESS:
        return f"{sum(known):.0f} of {len(known)} [{found.low:.2f}, {found.high:.2f}]"
    if found.seeds == 1:
        return f"{number(found.mean)}{missing}"
    return f"{number(found.mean)} [{number(found.low)}, {number(found.high)}]{missing}"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _entries(folder: Path, claims: Mapping[str, Claim]) -> dict[str, LedgerEntry | None]:
    """The entry of every claim at small scale; None where it was not played."""
    paths = {name: entry_path(folder, name, "small") for name in claims}
    return {name: LedgerEntry.read(path) if path.is_file() else None for name, path in paths.items()}


def _entry(words: Sequence[str], folder: Path, claims: Mapping[str, Claim]) -> LedgerEntry:
    word = words[0] if words else "a table without a claim"
    name, _, scale = word.partition("@")
    chosen: ScaleName = "paper" if scale == "paper" else "small"
    path = entry_path(folder, name, chosen)
    if name not in claims or not path.is_file():
        raise UsageError(f"{word}: was not played", f"play it: `sparring reproduce {name} --out {folder}`")
    return LedgerEntry.read(path)
