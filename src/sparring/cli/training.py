"""Verbs about one run: train, resume, finetune, sample, verify, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sparring.cli.options import (
    AsJson,
    Device,
    GameIndex,
    NewRun,
    Overrides,
    RecipeName,
    RunPath,
    Threads,
    require_one_process,
    set_threads,
)
from sparring.cli.terminal import print_json, print_metrics, print_problems, show_progress
from sparring.core.errors import print_text
from sparring.core.process import rank

if TYPE_CHECKING:
    from sparring.runs.schema import Summary


def train(
    recipe: RecipeName,
    overrides: Overrides = None,
    out: NewRun = ...,  # type: ignore[assignment]
    device: Device = "auto",
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Train a recipe in a new run folder."""
    from sparring.recipes import load

    loaded = load(recipe, overrides)  # report a mistake before the slow imports
    from sparring.training.loop import train as train_recipe

    set_threads(threads)
    with show_progress("rounds") as progress:
        summary = train_recipe(loaded, out, device=device, progress=progress)
    _print_result(out, summary, as_json)


def resume(
    run: Annotated[Path, typer.Argument(help="The folder of a run or of a sweep.", show_default=False)],
    device: Device = "auto",
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Continue a run from its newest intact checkpoint, or a sweep with its missing cells."""
    from sparring.sweeps.sweep_folder import is_sweep
    from sparring.training.loop import resume as resume_run

    if is_sweep(run):
        from sparring.cli.sweeping import resume_sweep_folder

        require_one_process("resume")
        resume_sweep_folder(run, device, as_json)
        return
    with show_progress("rounds") as progress:
        summary = resume_run(run, device=device, threads=threads, progress=progress)
    _print_result(run, summary, as_json)


def finetune(
    run: RunPath,
    overrides: Overrides = None,
    out: NewRun = ...,  # type: ignore[assignment]
    game: GameIndex = 0,
    device: Device = "auto",
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a run's D as a classifier on real and generated samples under attack."""
    from sparring.classifier.finetune import finetuning
    from sparring.runs.folder import RunFolder
    from sparring.training.loop import train as train_recipe

    made = finetuning(RunFolder.open(run), game=game, overrides=overrides)
    set_threads(threads)
    with show_progress("rounds") as progress:
        for note in made.notes:
            progress.note(note)
        summary = train_recipe(made.recipe, out, device=device, progress=progress)
        progress.note(f"the full recipe: {out / 'recipe.yaml'}")
    _print_result(out, summary, as_json)


def sample(
    run: RunPath,
    count: Annotated[int, typer.Option("-n", min=1, help="Samples per game.")] = 64,
    out: Annotated[Path, typer.Option(help="A .png picture, or .npz arrays.")] = Path("samples.png"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the latents.")] = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Draw samples from a run's newest checkpoint."""
    from sparring.evaluation.samples import write_samples

    result = write_samples(run, out, count=count, seed=seed, device=device)
    if as_json:
        print_json(result)
    else:
        print_problems(result["problems"])
        print_text(f"{result['out']}: {result['samples']} samples after {result['step']:,} rounds")


def verify(
    path: Annotated[Path, typer.Argument(help="A run folder or a prepared store.")], as_json: AsJson = False
) -> None:
    """Check every checksum of a run's checkpoints, or of a store."""
    from sparring.evaluation.verify import verify as verify_files

    checked = verify_files(path)
    print_json({"sound": checked}) if as_json else print_text("\n".join(f"{name}: sound" for name in checked))


def report(
    path: Annotated[Path, typer.Argument(help="A run folder, an evaluation, or a folder of run folders.")],
    as_json: AsJson = False,
) -> None:
    """Write report.html for a run or an evaluation, or one page for all runs in a folder."""
    from sparring.report import report_folder

    page = report_folder(path)
    print_json({"report": str(page)}) if as_json else print_text(str(page))


def _print_result(out: Path, summary: Summary, as_json: bool) -> None:
    """Write the run's page, and print its metrics and which theorem covers it; in the first process of a group only."""
    if rank():
        return
    from sparring.recipes import Recipe
    from sparring.report import report_run
    from sparring.runs.folder import RunFolder
    from sparring.theory.theorem_coverage import covered_by

    folder = RunFolder.open(out)
    page = report_run(folder)
    if as_json:
        print_json(summary.as_json() | {"report": str(page)})
        return
    if summary.metrics:
        print_metrics(summary.metrics, f"{out} after {summary.steps:,} rounds, {summary.seconds:,.0f} s")
    recipe = folder.recipe()
    if isinstance(recipe, Recipe):
        print_text(f"theory: {covered_by(recipe.objective, recipe.feedback)}")
    print_text(f"report: {page}")
