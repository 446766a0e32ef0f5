"""Verbs that measure a trained GAN: evaluate and attack-endurance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparring.cli.options import AsJson, Device, RunPath, Threads, print_json, print_problems, set_threads


def evaluate(
    run: RunPath,
    extractor: Annotated[
        str | None,
        typer.Option(
            help="Feature network, e.g. '{name: inception, weights: FILE}'.", show_default="that of the recipe"
        ),
    ] = None,
    samples: Annotated[int, typer.Option(min=2, help="Generated samples per game.")] = 10_000,
    device: Device = "auto",
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Measure a run's newest checkpoint: quality of G's samples and slopes of D, or a classifier's accuracy."""
    from sparring.cli.printing import print_metrics
    from sparring.evaluation.evaluate import evaluate as evaluate_run
    from sparring.networks import Extractor
    from sparring.recipes import parse_piece

    set_threads(threads)
    chosen = None if extractor is None else parse_piece(Extractor, extractor)
    result = evaluate_run(run, samples=samples, extractor=chosen, device=device)
    if as_json:
        print_json(result.as_json())
    else:
        print_problems(result.problems)
        print_metrics(result.metrics, f"{run} after {result.step:,} rounds")


def attack_endurance(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.", show_default=False)],
    attack: Annotated[str, typer.Option(help="One attack, e.g. direct or '{name: fgsm, epsilon: 2/255}'.")] = "fgsm",
    within: Annotated[float, typer.Option(help="How close D must come to its mean on the other class.")] = 0.02,
    cap: Annotated[int, typer.Option(min=1, help="Attacks per sample, at most.")] = 100,
    count: Annotated[int, typer.Option("-n", min=1, help="Real and generated samples per game.")] = 64,
    device: Device = "auto",
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Count the attacks until each run's D takes real samples for generated ones, and generated for real."""
    from sparring.cli.printing import print_attacks
    from sparring.evaluation.attack_endurance import attack_study, study_attacks

    set_threads(threads)
    study = attack_study(attack, within=within, cap=cap, samples=count)
    rows = study_attacks(runs, study, device=device)
    if as_json:
        print_json(rows)
    else:
        print_problems(list(dict.fromkeys(problem for row in rows for problem in row["problems"])))
        print_attacks(rows)
