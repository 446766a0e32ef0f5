"""Pages: what stands on them, and the one self-contained file that they become."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from sparring.core.errors import SparringError, UsageError, printable
from sparring.core.files import write_whole
from sparring.report import format as words
from sparring.report.alarms import Notice, notices
from sparring.report.cards import Card, read_card
from sparring.report.charts import Chart
from sparring.report.comparing import Map, differing, success_maps, total
from sparring.report.curves import charts, few_charts, shared_charts
from sparring.report.endings import heading, verdict, verdict_of_runs
from sparring.report.exhibits import Exhibit, exhibits, shared_exhibits
from sparring.report.kinds import Kind, kind_of
from sparring.report.metric_info import primary
from sparring.report.pictures import Film, films
from sparring.report.read import Outcome, Run, find_runs, names_of, read_run
from sparring.report.robust_runs import sides
from sparring.report.robustness import Part, parts_of
from sparring.report.sweep_map import Atlas, GridMap, atlas_of
from sparring.report.tables import Endurance, Table, endurance, final_table, mean_final, table_of_d
from sparring.runs.folder import RunFolder
from sparring.sweeps.sweep_folder import SweepFolder, is_sweep

COMPACT = 8
"""With more runs than this on a page, each shows its two most telling charts only, and nothing that D looks at."""


@dataclass(frozen=True)
class Robustness:
    """What robustness.json says of a run, and its subjects as they stand on a page."""

    card: Card
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Section:
    """One run on a page."""

    key: str
    run: Run
    kind: Kind
    alarms: tuple[Notice, ...]
    film: Film
    exhibits: tuple[Exhibit, ...]
    robustness: Robustness | None
    endurance: tuple[Endurance, ...]
    charts: tuple[Chart, ...]
    table: Table
    table_of_d: Table
    seconds: str
    device: str
    environment: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Line:
    """One run in the table of runs."""

    key: str
    run: Run
    values: tuple[str, ...]
    outcome: Outcome | None
    main: str
    first: str
    seconds: str
    alarms: str


@dataclass(frozen=True)
class Unreadable:
    """A run folder that could not be read, and why."""

    name: str
    cause: str


def report_folder(path: Path) -> Path:
    """Write the page of what a folder holds: a run, a sweep, an evaluation of no run, or else all runs below it.

    Returns:
        The page's path.

    Raises:
        UsageError, CorruptInput: there is nothing, or it cannot be read.
        StorageError: the disk refused.
    """
    if (path / "recipe.yaml").is_file():
        return report_run(RunFolder.open(path))
    if is_sweep(path):
        return report_sweep(SweepFolder.open(path))
    if read_card(path) is not None:
        return report_card(path)
    return report_runs(find_runs(path), path / "report.html", title=path.resolve().name)


def report_run(run: RunFolder) -> Path:
    """Write RUN/report.html, whatever state the run is in.

    Args:
        run: the run folder.

    Returns:
        The page's path.

    Raises:
        UsageError, CorruptInput: the run cannot be read.
        StorageError: the disk refused.
    """
    read = read_run(run)
    section = _section("run-1", read, films([read])[0], charts(read, "run-1"), exhibits(read))
    page = _render("run_page.html", title=read.name, section=section, strips=[section])
    write_whole(run.report, page)
    return run.report


def report_card(folder: Path) -> Path:
    """Write FOLDER/report.html for an evaluation that is of no run: a model of the user's own.

    Args:
        folder: what holds robustness.json.

    Returns:
        The page's path.

    Raises:
        UsageError: there is no evaluation.
        StorageError: the disk refused.
    """
    card = read_card(folder)
    if card is None:
        raise UsageError(f"{folder}: no robustness.json here", "`sparring robustness --out FOLDER` writes one")
    page = _render("card_page.html", title=folder.resolve().name, robustness=Robustness(card, parts_of(card, "card")))
    write_whole(folder / "report.html", page)
    return folder / "report.html"


def report_sweep(sweep: SweepFolder) -> Path:
    """Write DIR/report.html of a sweep, whatever state it is in: the map of its grid first, then every run.

    Args:
        sweep: what was played.

    Returns:
        The page's path.

    Raises:
        CorruptInput: the list of what was set aside is damaged.
        StorageError: the disk refused.
    """
    folders = [sweep.folder(run) for run in sweep.runs()]
    begun = [folder for folder in folders if (folder.path / "recipe.yaml").is_file()]
    return report_runs(begun, sweep.report, title=sweep.path.name, atlas=atlas_of(sweep.results()))


def report_runs(runs: Sequence[RunFolder], out: Path, *, title: str, atlas: Atlas | None = None) -> Path:
    """Write one page for several runs: the table and the success map first, then every run.

    A run that cannot be read is named with its cause; the others are shown.

    Args:
        runs: the run folders.
        out: the page's path.
        title: of the page.
        atlas: the maps of the grid that they are of; without one, maps of what differs between them.

    Returns:
        The page's path.

    Raises:
        StorageError: the disk refused.
    """
    readable: list[Run] = []
    unreadable: list[Unreadable] = []
    for folder, name in zip(runs, names_of(runs), strict=True):
        try:
            readable.append(read_run(folder, name))
        except SparringError as error:
            unreadable.append(Unreadable(name, error.cause))
    is_whole = len(readable) <= COMPACT
    select = charts if is_whole else few_charts
    keys = [f"run-{index}" for index in range(1, len(readable) + 1)]
    sections = [
        _section(key, run, film, select(run, key), exhibits(run) if is_whole else ())
        for key, run, film in zip(keys, readable, films(readable), strict=True)
    ]
    games = [run for run in readable if kind_of(run).makes_samples]
    page = _render(
        "runs_page.html",
        title=title,
        verdict=verdict_of_runs(readable),
        keys=tuple(differing(readable)),
        lines=_lines(readable),
        atlas=atlas,
        maps=success_maps(games) if total(games) and atlas is None else [],
        shared=shared_charts(readable),
        sides=sides([section.robustness.card if section.robustness else None for section in sections]),
        looks=shared_exhibits(readable) if is_whole else (),
        sections=sections,
        strips=sections if any(section.kind.makes_samples for section in sections) else [],
        has_alarms=any(section.alarms for section in sections),
        has_outcomes=total(readable) is not None,
        ending=heading(readable),
        unreadable=unreadable,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    write_whole(out, page)
    return out


def _section(key: str, run: Run, film: Film, drawn: Sequence[Chart], looks: Sequence[Exhibit]) -> Section:
    flat = words.flatten(run.environment)
    card = read_card(run.folder.path)
    return Section(
        key=key,
        run=run,
        kind=kind_of(run),
        alarms=notices(run),
        film=film,
        exhibits=tuple(looks),
        robustness=Robustness(card, parts_of(card, f"{key}-robust")) if card else None,
        endurance=endurance(run),
        charts=tuple(drawn),
        table=final_table(run),
        table_of_d=table_of_d(run),
        seconds=words.duration(run.seconds) if run.seconds is not None else "",
        device=str(run.environment.get("device", "")),
        environment=tuple((name, words.plain(value)) for name, value in flat.items()),
    )


def _lines(runs: Sequence[Run]) -> list[Line]:
    columns = list(differing(runs).values())
    found = []
    for index, run in enumerate(runs):
        measure = primary(run)
        came = [step for step in run.first_successes if step is not None]
        found.append(
            Line(
                key=f"run-{index + 1}",
                run=run,
                values=tuple(words.plain(column[index]) for column in columns),
                outcome=run.outcome,
                main=measure.amount(mean_final(run, measure)) if measure else words.NONE,
                first=f"{words.number(round(sum(came) / len(came)))} ({words.games(len(came))})"
                if came
                else words.NONE,
                seconds=words.duration(run.seconds),
                alarms=", ".join(notice.kind for notice in notices(run)),
            )
        )
    return found


def shade(share: float) -> str:
    """The CSS of a map's cell: from white over pale to full blue, with an ink that stays readable."""
    colour = [round(low + (high - low) * share) for low, high in zip((247, 247, 242), (0, 90, 150), strict=True)]
    return f"background:rgb({colour[0]},{colour[1]},{colour[2]});color:{'#fff' if share > 0.5 else '#222'}"


def _given(found: Map | GridMap) -> str:
    return ", ".join(f"{key} {words.plain(value)}" for key, value in found.given)


def _visible(value: Any) -> Any:
    """What is put on a page, whole: of a text, lines in which nothing hides or turns the rest around."""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return "\n".join(printable(line, len(line)) for line in value.split("\n"))


def _text(name: str) -> str:
    return resources.files("sparring.report").joinpath(name).read_text(encoding="utf-8")


def _render(template: str, **values: Any) -> bytes:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_text),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": words.number,
        "interval": words.interval,
        "span": words.span,
        "verdict": verdict,
        "plain": words.plain,
        "shade": shade,
        "given": _given,
        "svg": lambda chart: Markup(chart.svg()),  # matplotlib escapes every text it writes
    }
    script = _text("page.js").strip()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment.get_template(template).render(
        values | {"css": Markup(_text("page.css")), "script": Markup(script), "script_hash": digest}
    )
    return page.encode()
