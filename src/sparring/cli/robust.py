"""The verb robustness: any classifier under attack, with the checks that say whether to believe the result."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sparring.cli.options import AsJson, Device, GameIndex, Threads, print_json, print_problems, set_threads
from sparring.core.errors import print_text


def robustness(
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODULE:FACTORY", help="A run folder, or a function that returns a model.", show_default=False
        ),
    ],
    samples: Annotated[int, typer.Option(min=2, help="Held-out samples, and as many training samples.")] = 500,
    on: Annotated[
        str, typer.Option(help="Heads of D, separated by commas: class, source, both.", show_default="class")
    ] = "",
    epsilons: Annotated[
        str, typer.Option(help="Attack sizes, e.g. 2/255,8/255.", show_default="0.5, 1 and 2 x that of training")
    ] = "",
    threats: Annotated[str, typer.Option(help="standard, quick, names separated by commas, or a YAML file.")] = (
        "standard"
    ),
    transfer_from: Annotated[
        list[str] | None, typer.Option(help="Another run or model, whose adversarial samples are tried on this one.")
    ] = None,
    game: GameIndex = 0,
    data: Annotated[str, typer.Option(help="For a model: digits, or a store.")] = "",
    weights: Annotated[str, typer.Option(help="For a model: a safetensors file.")] = "",
    input_range: Annotated[
        str, typer.Option(help="For a model: the range of its input pixels.", show_default="0,1")
    ] = "",
    mean: Annotated[str, typer.Option(help="For a model: subtracted from every channel after that.")] = "",
    std: Annotated[str, typer.Option(help="For a model: every channel is divided by it last.")] = "",
    out: Annotated[Path | None, typer.Option(help="Where robustness.json goes.", show_default="the run folder")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples and attacks.")] = 0,
    device: Device = "auto",
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Attack the classifier of a run, or a model of your own, and check whether the result is to be believed."""
    from sparring.cli.printing import print_robustness
    from sparring.cli.terminal import show_progress
    from sparring.report import report_folder
    from sparring.robustness.own_models import run_or_model
    from sparring.robustness.robustness_json import evaluate_robustness, require_unflagged, robustness_options

    set_threads(threads)
    values = {
        "on": _words(on),
        "epsilons": _words(epsilons) or None,
        "threats": threats,
        "samples": samples,
        "transfer_from": transfer_from or [],
        "game": game,
        "data": data or None,
        "seed": seed,
    }
    options = robustness_options(values)
    model = run_or_model(target, weights=weights, input_range=input_range, mean=mean, std=std)
    with show_progress("threats") as progress:
        result = evaluate_robustness(model, options, out=out, device=device, progress=progress)
    if as_json:
        print_json(result.as_json())
    else:
        print_problems(result.problems)
        print_robustness(target, result)
    page = report_folder(out or Path(target))
    if not as_json:
        print_text(f"report: {page}")
    require_unflagged(result)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
