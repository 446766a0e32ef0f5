"""The verb reproduce: play what papers assert, judge it, and show the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from sparring.cli.terminal import AsJson, Device, Row, print_json, print_rows, set_threads, show_progress
from sparring.core.errors import Flagged, UsageError, print_text

if TYPE_CHECKING:
    from sparring.claims.claim_schema import Claim
    from sparring.claims.entries import LedgerEntry
    from sparring.claims.play import PlayOptions

LEDGER = Path("ledger")
"""The results that come with the source tree: what is listed, checked and written into documents by default."""
PLAYED = Path("runs/reproduced")
"""Where a user's own results go by default."""


def reproduce(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CLAIM]... [AXIS=LABEL,...]...",
            help="Claims, as dishonest/figure-3, or papers; all are listed without one. Axes restrict the cells. "
            "With --check: the ledger.",
        ),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what it costs; play nothing.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Judge a ledger again from its cells; play nothing.")] = False,
    write: Annotated[
        list[Path] | None,
        typer.Option(help="A Markdown document whose tables of the ledger are written anew.", show_default=False),
    ] = None,
    scale: Annotated[Literal["small", "paper"], typer.Option(help="A laptop's, or the paper's own.")] = "small",
    seeds: Annotated[str, typer.Option(help="As 0..9 or 0,1,2.", show_default="those of the claim")] = "",
    out: Annotated[
        Path | None,
        typer.Option(
            help="The ledger: results, figures, runs, and the page.",
            show_default=f"{PLAYED} to play, {LEDGER} to list",
        ),
    ] = None,
    runs: Annotated[
        list[Path] | None, typer.Option(help="Another folder whose complete runs are taken over.", show_default=False)
    ] = None,
    claims: Annotated[Path | None, typer.Option(help="A YAML file of claims of your own.", show_default=False)] = None,
    workers: Annotated[int, typer.Option(min=0, help="Runs at a time.", show_default="one per core, or per GPU")] = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Play what figures and tables of the papers assert, and judge it with intervals over seeds."""
    from sparring.claims.load import all_claims, chosen

    known = all_claims(claims)
    names = [word for word in words or [] if "=" not in word]
    for option, given in {"--check": check, "--plan": plan, "a claim": bool(names)}.items():
        if write and given:
            raise UsageError(f"--write with {option}", "write documents on their own, from --out LEDGER")
    if check:
        _check(Path(names[0]) if names else out or LEDGER, known, as_json)
        return
    if write:
        _write(write, out or LEDGER, known, as_json)
        return
    if not names:
        if len(words or []) or plan:
            raise UsageError("reproduce: which claim?", "`sparring reproduce` lists them")
        _list(known, out or LEDGER, as_json)
        return
    options = _options(scale, seeds, [word for word in words or [] if "=" in word], runs or [], device)
    picked = chosen(known, names)
    if plan:
        _plan(picked, options, workers, as_json)
    else:
        _play(picked, known, options, out or PLAYED, workers, as_json)


def _options(
    scale: Literal["small", "paper"], seeds: str, words: list[str], runs: list[Path], device: str
) -> PlayOptions:
    from sparring.claims.cells import parse_seeds
    from sparring.claims.play import PlayOptions
    from sparring.sweeps.grid import parse_grid

    for run in runs:
        if not run.is_dir():
            raise UsageError(f"{run}: no such folder", "give a folder with runs")
    return PlayOptions(scale, parse_seeds(seeds) if seeds else (), dict(parse_grid(words)), tuple(runs), device)


def _play(
    picked: dict[str, Claim],
    known: dict[str, Claim],
    options: PlayOptions,
    out: Path,
    workers: int,
    as_json: bool,
) -> None:
    from sparring.claims.ledger import read_ledger
    from sparring.claims.ledger_page import write_page
    from sparring.claims.play import play
    from sparring.sweeps.executor import LocalExecutor

    with show_progress("rounds") as progress:
        entries = play(picked, options, out, executor=LocalExecutor(workers, options.device), progress=progress)
    page = write_page(out / "report.html", known, read_ledger(out).values())
    if as_json:
        print_json({"report": str(page), "claims": {name: entry.as_json() for name, entry in entries.items()}})
        return
    for name, entry in entries.items():
        print_text(f"{name}: {verdict_line(entry)}")
        rows: list[Row] = [
            {
                "statement": statement.says or statement.text,
                "mean": statement.mean,
                "95 % interval": "-" if statement.interval is None else "[{:.4g}, {:.4g}]".format(*statement.interval),
                "p (Holm)": statement.adjusted,
                "seeds": statement.seeds,
                "verdict": f"{statement.verdict}: {statement.reason}" if statement.reason else statement.verdict,
            }
            for statement in entry.statements
        ]
        print_rows("", rows)
    print_text(f"report: {page}")


def verdict_line(entry: LedgerEntry) -> str:
    """The verdict with its scale, as one phrase."""
    scale = "at small scale" if entry.scale == "small" and entry.budget else "at the paper's scale"
    return f"{entry.verdict} {scale}{f' ({entry.budget})' if entry.budget else ''}"


def _list(known: dict[str, Claim], out: Path, as_json: bool) -> None:
    from sparring.claims.ledger import read_ledger

    entries = {(entry.name, entry.scale): entry for entry in read_ledger(out).values()}
    rows: list[Row] = []
    for name, claim in known.items():
        for scale in ("small", "paper"):
            entry = entries.get((name, scale))
            if entry is None and scale == "paper":
                continue
            rows.append(
                {
                    "claim": name,
                    "place": claim.place,
                    "asserts": claim.asserts,
                    "scale": scale,
                    "verdict": entry.verdict if entry else "not played",
                    "seeds": len(entry.seeds) if entry else 0,
                    "hours of training": round(entry.seconds / 3600, 2) if entry else None,
                    "played": str(entry.played) if entry else None,
                }
            )
    if as_json:
        print_json(rows)
    else:
        print_rows(f"Claims, and the verdicts in {out}", rows)


def _plan(picked: dict[str, Claim], options: PlayOptions, workers: int, as_json: bool) -> None:
    from sparring.claims.plan import plan_claims
    from sparring.claims.play import cells_of
    from sparring.sweeps.executor import LocalExecutor

    wanted = {name: cells_of(name, claim, options) for name, claim in picked.items()}
    at_a_time = LocalExecutor(workers, options.device).workers
    set_threads(1)  # as workers have
    with show_progress("claims") as progress:
        plans = plan_claims(wanted, at_a_time, options.device, progress)
    rows: list[Row] = [
        {
            "claim": each.name,
            "cells": each.cells,
            "games": each.games,
            "rounds": f"{each.rounds:,}",
            f"hours on {at_a_time} workers": each.hours,
            "GB": each.gigabytes,
            "not timed because": each.reason,
            "needs": picked[each.name].scale(options.scale).needs,
        }
        for each in plans
    ]
    if as_json:
        print_json(rows)
    else:
        print_rows("What it costs, without measurements", rows)


def _check(folder: Path, known: dict[str, Claim], as_json: bool) -> None:
    from sparring.claims.ledger import check_ledger, read_ledger

    problems = check_ledger(folder, known)
    count = len(read_ledger(folder))
    if as_json:
        print_json({"ledger": str(folder), "entries": count, "problems": problems})
    else:
        for problem in problems:
            print_text(problem)
        print_text(f"{folder}: {count} entries, {len(problems)} problems")
    if problems:
        raise Flagged(f"{folder}: verdicts or figures do not follow from the cells", "play those claims again")


def _write(documents: list[Path], folder: Path, known: dict[str, Claim], as_json: bool) -> None:
    from sparring.claims.documents import with_tables
    from sparring.core.files import read_file, write_whole

    for document in documents:
        text = with_tables(read_file(document).decode(), folder, known)
        write_whole(document, text.encode())
        if not as_json:
            print_text(f"{document}: written from {folder}")
    if as_json:
        print_json({"ledger": str(folder), "documents": [str(document) for document in documents]})
