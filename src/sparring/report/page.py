"""What is on which page, and the one self-contained HTML file that it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sparring.core.errors import SparringError, UsageError
from sparring.monitoring.alarms import AlarmMonitor
from sparring.recipes import Recipe
from sparring.report.charts import Chart
from sparring.report.comparison import differing, total
from sparring.report.films import Film, films
from sparring.report.final_numbers import NumberTable, number_tables
from sparring.report.first_screen import FirstScreen, first_screen, overview
from sparring.report.format import NONE, counted, number
from sparring.report.metric_info import mean_final, primary
from sparring.report.overlays import ALL, Comparison, overlays
from sparring.report.read import RunRecord, find_runs, names_of, read_run
from sparring.report.report_page import ReportPage
from sparring.report.robustness_section import TargetSection, compare_robustness, target_sections
from sparring.report.run_charts import charts, few_charts, first_charts
from sparring.report.sentences import heading, verdict, verdict_of_runs
from sparring.report.strips import StripGroup, probe_strips, shared_strips
from sparring.report.sweep_map import SweepMap, success_sheets, sweep_map
from sparring.report.time_to_level import level_tables
from sparring.runs.folder import RunFolder
from sparring.runs.robustness_schema import ROBUSTNESS, Robustness
from sparring.runs.schema import Alarm, Summary
from sparring.sweeps.sweep_folder import SweepFolder, is_sweep

_COMPACT = 8
"""With more runs than this on a page, each shows two charts and no pictures of what D sees."""


@dataclass(frozen=True)
class RunSection:
    """One run on a page."""

    key: str
    run: RunRecord
    makes_samples: bool
    alarms: tuple[Alarm, ...]
    film: Film
    strips: tuple[StripGroup, ...]
    targets: tuple[TargetSection, ...]
    charts: tuple[Chart, ...]
    tables: tuple[NumberTable, NumberTable]

    @property
    def first(self) -> FirstScreen:
        """The first screen of the page of this run alone."""
        attacked, trained = [each.verdict for each in self.targets], [verdict(self.run)]
        sentences = [*trained, *attacked] if self.makes_samples else attacked or trained
        return first_screen(sentences, self.charts, self.targets, makes_samples=self.makes_samples)

    @property
    def lasting_alarms(self) -> list[Alarm]:
        """The alarms that hold at the end."""
        return [alarm for alarm in self.alarms if alarm.until is None]

    @property
    def summary(self) -> Summary | None:
        """summary.json, with the data seen and the sizes of the networks; None while the run goes on."""
        return None if self.run.status.kind == "running" else self.run.folder.summary()

    @property
    def main_metric(self) -> str:
        """The mean of the primary metric at the end, with its unit."""
        metric = primary(self.run)
        return metric.amount(mean_final(self.run, metric)) if metric else NONE

    @property
    def first_success(self) -> str:
        """Mean round of the first success over the games that had one."""
        rounds = [each for each in self.run.first_successes if each is not None]
        return f"{number(round(sum(rounds) / len(rounds)))} ({counted(len(rounds), 'game')})" if rounds else NONE

    @property
    def divergence(self) -> str:
        """The first round in which a game diverged, and how many did."""
        rounds = self.run.divergences.values()
        if not rounds:
            return "no"
        return f"{'from ' if len(rounds) > 1 else ''}{number(min(rounds))} ({len(rounds)} of {len(self.run.titles)})"


def page_of(path: Path, comparison: Comparison = ALL) -> ReportPage:
    """The page of a folder: a run, a sweep, an evaluation, or all runs below it. Nothing is written.

    Args:
        path: the folder.
        comparison: how several runs are compared.

    Raises:
        UsageError, CorruptInput: there is nothing, or it cannot be read, or not compared like this.
    """
    is_run = (path / "recipe.yaml").is_file()
    if comparison != ALL and (is_run or (path / ROBUSTNESS).is_file()):
        raise UsageError(
            f"{path}: the options compare several runs, and this is one", "give a folder of runs, or no options"
        )
    if is_run:
        return _run_page(RunFolder.open(path))
    if is_sweep(path):
        return _sweep_page(SweepFolder.open(path), comparison)
    if (path / ROBUSTNESS).is_file():
        return _model_page(path)
    return _runs_page(find_runs(path), path / "report.html", title=path.resolve().name, comparison=comparison)


def report_folder(path: Path, comparison: Comparison = ALL) -> Path:
    """Write the page of a folder (a run, a sweep, an evaluation, or all runs below it) and return its path.

    Args:
        path: the folder.
        comparison: how several runs are compared.

    Raises:
        UsageError, CorruptInput: there is nothing, or it cannot be read, or not compared like this.
        StorageError: the disk refused.
    """
    return page_of(path, comparison).write()


def card_of(folder: RunFolder) -> str:
    """A run in a few lines of HTML, for a notebook: how it ended or how far it is, its last samples, two charts.

    Raises:
        UsageError, CorruptInput: the run cannot be read.
    """
    return replace(_run_page(folder), template="card.html").html()


def report_run(folder: RunFolder) -> Path:
    """Write RUN/report.html, in any state of the run, and return its path.

    Raises:
        UsageError, CorruptInput: the run cannot be read.
        StorageError: the disk refused.
    """
    return _run_page(folder).write()


def report_runs(
    folders: Sequence[RunFolder],
    out: Path,
    *,
    title: str,
    comparison: Comparison = ALL,
) -> Path:
    """Write one page for several runs and return its path: the map of successes, the table, then every run.

    Runs that cannot be read are named with the cause.

    Args:
        folders: the runs.
        out: the page's path.
        title: of the page.
        comparison: how they are compared.

    Raises:
        UsageError: they cannot be compared like this.
        StorageError: the disk refused.
    """
    page = _runs_page(folders, out, title=title, comparison=comparison)
    out.parent.mkdir(parents=True, exist_ok=True)
    return page.write()


def _run_page(folder: RunFolder) -> ReportPage:
    run = read_run(folder)
    section = _section("run-1", run, films([run])[0], charts(run, "run-1"), probe_strips(run))
    return ReportPage(folder.report, "run_page.html", {"title": run.name, "section": section, "first": section.first})


def _model_page(folder: Path) -> ReportPage:
    robustness = Robustness.read(folder / ROBUSTNESS)
    targets = target_sections(robustness, folder, "robust")
    first = first_screen([each.verdict for each in targets], (), targets, makes_samples=False)
    values = {"title": folder.resolve().name, "robustness": robustness, "first": first}
    return ReportPage(folder / "report.html", "model_page.html", values)


def _sweep_page(sweep: SweepFolder, comparison: Comparison) -> ReportPage:
    """The maps of a sweep's grid, then every run, in any state of the sweep."""
    folders = [sweep.folder(run) for run in sweep.packs]
    trained = [folder for folder in folders if (folder.path / "recipe.yaml").is_file()]
    grid = sweep_map(sweep.results())
    return _runs_page(trained, sweep.path / "report.html", title=sweep.path.name, grid=grid, comparison=comparison)


def _runs_page(
    folders: Sequence[RunFolder],
    out: Path,
    *,
    title: str,
    grid: SweepMap | None = None,
    comparison: Comparison,
) -> ReportPage:
    """One page for several runs, with the maps of the sweep that they belong to or else a map of their successes."""
    runs: list[RunRecord] = []
    unreadable: dict[str, str] = {}
    for folder, name in zip(folders, names_of(folders), strict=True):
        try:
            runs.append(read_run(folder, name))
        except SparringError as error:
            unreadable[name] = error.cause
    shared, levels = overlays(runs, comparison), level_tables(runs, comparison.levels, comparison.group_by)
    is_compact = len(runs) > _COMPACT
    choose = few_charts if is_compact else charts
    sections = [
        _section(f"run-{index}", run, film, choose(run, f"run-{index}"), () if is_compact else probe_strips(run))
        for index, (run, film) in enumerate(zip(runs, films(runs), strict=True), start=1)
    ]
    games = [run for run in runs if isinstance(run.recipe, Recipe)]
    maps = success_sheets(games) if total(games) and grid is None else ()
    first, grid, maps, shared = overview(verdict_of_runs(runs), grid, maps, shared)
    values = {
        "title": title,
        "first": first,
        "sections": sections,
        "unreadable": unreadable,
        "differing": differing(runs),
        "heading": heading(runs),
        "has_successes": total(runs) is not None,
        "has_diverged": any(run.divergences for run in runs),
        "grid": grid,
        "successes": maps,
        "comparisons": compare_robustness([run.robustness for run in runs]),
        "strips": () if is_compact else shared_strips(runs),
        "overlays": shared,
        "charts": () if comparison.measures else first_charts(runs),
        "levels": levels,
    }
    return ReportPage(out, "runs_page.html", values)


def _section(
    key: str, run: RunRecord, film: Film, drawn: Sequence[Chart], strips: tuple[StripGroup, ...]
) -> RunSection:
    folder, robustness = run.folder.path, run.robustness
    return RunSection(
        key=key,
        run=run,
        makes_samples=isinstance(run.recipe, Recipe),
        alarms=tuple(AlarmMonitor(run.recipe, run.rows).alarms()),
        film=film,
        strips=strips,
        targets=target_sections(robustness, folder, f"{key}-robust") if robustness else (),
        charts=tuple(drawn),
        tables=number_tables(run),
    )
