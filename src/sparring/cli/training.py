"""Verbs that train: train, resume, finetune, sweep, demo."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparring.cli.ending import demo_verdict, print_ending, sweep_verdict, times_of_new, times_of_resumed
from sparring.cli.terminal import (
    AsJson,
    Device,
    GameIndex,
    Loggers,
    NewRun,
    Overrides,
    RecipeName,
    RunPath,
    Threads,
    Verbose,
    cell,
    intervals_of,
    print_json,
    print_rows,
    set_threads,
    show_progress,
)
from sparring.core.errors import UsageError, print_text
from sparring.core.process import process_count, rank

if TYPE_CHECKING:
    from sparring.runs.schema import MetricValue
    from sparring.sweeps.sweep import SweepResult


def train(
    recipe: RecipeName,
    overrides: Overrides = None,
    out: NewRun = ...,  # type: ignore[assignment]
    device: Device = "auto",
    threads: Threads = 0,
    log: Loggers = None,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Train a recipe in a new run folder."""
    began = time.monotonic()
    from sparring.recipes import load

    loaded = load(recipe, overrides)  # report a mistake before the slow imports
    from sparring.training.loop import train as train_recipe

    set_threads(threads)
    with show_progress("rounds") as progress:
        summary = train_recipe(loaded, out, device=device, loggers=log or (), progress=progress)
    print_ending(out, summary, times_of_new, began=began, verbose=verbose, as_json=as_json)


def resume(
    run: Annotated[Path, typer.Argument(help="The folder of a run or of a sweep.", show_default=False)],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[steps=N]", help="Rounds in all, more than are trained; no other key can change."),
    ] = None,
    device: Device = "auto",
    threads: Threads = 0,
    log: Loggers = None,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Continue a run from its newest intact checkpoint, to more rounds if asked, or a sweep with its missing cells."""
    began = time.monotonic()
    from sparring.loggers import require_loggers
    from sparring.runs.environment import choose_device
    from sparring.sweeps.executor import LocalExecutor
    from sparring.sweeps.sweep import resume_sweep
    from sparring.sweeps.sweep_folder import SweepFolder, is_sweep
    from sparring.training.lengthen import lengthen
    from sparring.training.loop import resume as resume_run

    if is_sweep(run):
        _require_one_process("resume")
        for option, value in {"--log": log, "--threads": threads, "--verbose": verbose}.items():
            if value:
                raise UsageError(f"{option}: has no effect on a sweep", "leave it out")
        if overrides:
            raise UsageError(f"{run}: a sweep keeps its recipes", "sweep again with other keys in another folder")
        workers = min(SweepFolder.open(run).plan.workers, LocalExecutor(device=device).workers)
        with show_progress("rounds") as progress:
            result = resume_sweep(run, executor=LocalExecutor(workers, device), progress=progress)
        _print_sweep(run, result, as_json)
        return
    # What is wrong is said before the run is changed.
    if overrides and len(overrides) > 1:
        raise UsageError(f"{' '.join(overrides)}: of a run that has begun only steps can change", "give steps=N alone")
    require_loggers(log or ())
    if process_count() == 1:
        choose_device(device)
    with show_progress("rounds") as progress:
        for override in overrides or ():
            remark = "" if rank() else lengthen(run, override)
            if remark:
                progress.note(remark)
        summary = resume_run(run, device=device, threads=threads, loggers=log or (), progress=progress)
    print_ending(run, summary, times_of_resumed, began=began, verbose=verbose, as_json=as_json)


def finetune(
    run: RunPath,
    overrides: Overrides = None,
    out: NewRun = ...,  # type: ignore[assignment]
    game: GameIndex = 0,
    device: Device = "auto",
    threads: Threads = 0,
    log: Loggers = None,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a run's D as a classifier on real and generated samples under attack."""
    began = time.monotonic()
    from sparring.classifier.finetune import finetuning
    from sparring.runs.folder import RunFolder
    from sparring.training.loop import train as train_recipe

    made = finetuning(RunFolder.open(run), game=game, overrides=overrides)
    set_threads(threads)
    with show_progress("rounds") as progress:
        for note in made.notes:
            progress.note(note)
        summary = train_recipe(made.recipe, out, device=device, loggers=log or (), progress=progress)
    print_ending(out, summary, times_of_new, began=began, verbose=verbose, as_json=as_json)


def sweep(
    recipe: RecipeName,
    grid: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=A,B,...]...",
            help="Dotted keys with values in YAML; 0..9 means 0 to 9; a single value applies to every cell.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The sweep's folder, new or of the same sweep.")] = ...,  # type: ignore[assignment]
    workers: Annotated[int, typer.Option(min=0, help="Runs at a time.", show_default="one per core, or per GPU")] = 0,
    device: Device = "auto",
    address: Annotated[
        str, typer.Option(help="Ray: local, auto, or ray://HOST:PORT.", show_default="processes of this machine")
    ] = "",
    gpus_per_run: Annotated[float, typer.Option(min=0, help="Ray: share of a GPU per run.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Train every missing cell of a grid; write one table and one page with a map of the grid."""
    from sparring.sweeps.executor import LocalExecutor
    from sparring.sweeps.ray_executor import RayExecutor
    from sparring.sweeps.sweep import sweep as run_sweep

    _require_one_process("sweep")
    if gpus_per_run and not address:
        raise UsageError("--gpus-per-run: has no effect without a cluster", "add --address local")
    if address and device != "auto":
        raise UsageError(f"--device {device}: has no effect on a cluster", "give --gpus-per-run, or leave it out")
    executor = RayExecutor(address, workers, gpus_per_run) if address else LocalExecutor(workers, device)
    with show_progress("rounds") as progress:
        result = run_sweep(recipe, grid or [], out, executor=executor, progress=progress)
    _print_sweep(out, result, as_json)


def demo(
    out: Annotated[Path, typer.Option(help="Where the runs and the page go.")] = Path("runs/demo"),
    objectives: Annotated[
        str, typer.Option(help="Objectives, separated by commas; `sparring list objective` shows them.")
    ] = "log,linear",
    steps: Annotated[int, typer.Option(min=1, help="Rounds of every game.")] = 10_000,
    seeds: Annotated[int, typer.Option(min=2, help="Games per cell.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Run the main experiment on built-in data: a report in minutes on two CPU cores."""
    from sparring.report import report_runs
    from sparring.runs.schema import SUMMARY, Summary
    from sparring.sweeps.sweep import DEMO_TITLE
    from sparring.sweeps.sweep import demo as run_demo

    with show_progress("rounds") as progress:
        runs = run_demo(
            out,
            objectives=[name.strip() for name in objectives.split(",")],
            steps=steps,
            seeds=seeds,
            progress=progress,
        )
    summaries = {name: Summary.read(run.path / SUMMARY) for name, run in runs.items()}
    page = report_runs(list(runs.values()), out / "report.html", title=DEMO_TITLE)
    if as_json:
        print_json({"report": str(page), "runs": {name: summary.as_json() for name, summary in summaries.items()}})
        return
    print_text(demo_verdict(list(summaries.values())))
    rows = []
    for name, summary in summaries.items():
        metrics = summary.metrics
        wins = [estimate.value or 0.0 for estimate in metrics["success"].estimates]
        row = {"run": name, "learned all modes": f"{sum(wins):.0f} of {len(wins)}"}
        row |= {"95 % interval": intervals_of(metrics["success_rate"]), "modes covered": cell(metrics["modes"].value)}
        row |= {"high quality": cell(metrics["high_quality"].value), "diverged": _divergences(metrics)}
        row |= {"seconds": f"{summary.seconds:,.0f}"}
        rows.append(row)
    print_rows("Final round, every game", rows)
    print_text(f"report: {page}")


def _divergences(metrics: Mapping[str, MetricValue]) -> str:
    """How many games have diverged, and the first round in which one did."""
    if "diverged" not in metrics:
        return "none"
    rounds = [estimate.value for estimate in metrics["diverged"].estimates if estimate.value is not None]
    return f"{len(rounds)}, from round {min(rounds):,} on"


def _require_one_process(verb: str) -> None:
    """Refuse a verb that starts its own processes under torchrun."""
    if process_count() > 1:
        raise UsageError(
            f"{verb}: {process_count()} processes cannot run one sweep", "start it without torchrun: --workers N"
        )


def _print_sweep(out: Path, result: SweepResult, as_json: bool) -> None:
    """Draw the page, print the part of the table that fits a terminal, and fail if a run failed."""
    from sparring.report import report_folder
    from sparring.sweeps.sweep import RunsFailed

    files = {"csv": str(result.csv), "parquet": str(result.parquet), "report": str(report_folder(out))}
    if as_json:
        print_json({"rows": result.rows, **files})
    else:
        print_text(sweep_verdict(out, result.rows))
        columns = [name for name in result.rows[0] if not name.endswith(("_low", "_high"))]
        print_rows("Cells", [_shown(row, columns) for row in result.rows[:200]])
        for name, path in files.items():
            print_text(f"{name}: {path}")
    if result.failed:
        raise RunsFailed(result.failed)


def _shown(row: dict[str, Any], columns: list[str]) -> dict[str, Any]:
    """The first columns of a cell; and the round in which its game diverged, if any game did."""
    first = {name: row[name] for name in columns[:9] if name != "diverged"}
    survived = "no" if row["status"] == "complete" else None
    return first | ({"diverged at round": row["diverged"] or survived} if "diverged" in row else {})
