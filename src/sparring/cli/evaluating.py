"""Verbs that use trained networks: sample, evaluate, attack-endurance, robustness."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import typer

from sparring.cli.terminal import (
    AsJson,
    Device,
    GameIndex,
    Row,
    RunPath,
    Threads,
    print_json,
    print_metrics,
    print_problems,
    print_rows,
    set_threads,
    show_progress,
)
from sparring.core.errors import UsageError, print_text
from sparring.core.intervals import percent

if TYPE_CHECKING:
    from sparring.networks import Extractor
    from sparring.runs.robustness_schema import Rate, Robustness


def sample(
    run: RunPath,
    count: Annotated[int, typer.Option("-n", min=1, help="Samples per game.")] = 64,
    out: Annotated[Path, typer.Option(help="A .png picture, or .npz arrays.")] = Path("samples.png"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the latents.")] = 0,
    label: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="One class, by number from 0 or by name.", show_default="all classes"),
    ] = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Draw samples from a run's newest checkpoint."""
    from sparring.evaluation.samples import write_samples

    result = write_samples(run, out, count=count, seed=seed, label=label, device=device)
    if as_json:
        print_json(result)
    else:
        print_problems(result["problems"])
        print_text(f"{result['out']}: {result['samples']} samples after {result['step']:,} rounds")


def evaluate(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="A run folder; several with --protocol.", show_default=False),
    ],
    protocol: Annotated[
        str | None,
        typer.Option(help="Measure as a published figure was measured: a name from `sparring list protocols`."),
    ] = None,
    extractor: Annotated[
        str | None,
        typer.Option(
            help="Feature network, e.g. '{name: inception, weights: FILE}'.",
            show_default="that of the recipe, or the protocol's",
        ),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=2, help="Generated samples per game.", show_default="10000, or the protocol's")
    ] = None,
    device: Device = "auto",
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Measure a run's newest checkpoint: quality of G's samples and slopes of D, or a classifier's accuracy."""
    from sparring.evaluation.evaluate import evaluate as evaluate_run
    from sparring.networks import Extractor
    from sparring.recipes import parse_piece

    set_threads(threads)
    chosen = None if extractor is None else parse_piece(Extractor, extractor)
    if protocol is not None:
        if samples is not None:
            raise UsageError("--samples with --protocol", "leave it out: a protocol says how many samples it takes")
        _print_figure(runs, protocol, chosen, device, as_json)
        return
    if len(runs) > 1:
        raise UsageError(f"evaluate: {len(runs)} runs", "name one; several are measured together with --protocol")
    with show_progress("images") as progress:
        result = evaluate_run(runs[0], samples=samples or 10_000, extractor=chosen, device=device, progress=progress)
    if as_json:
        print_json(result.as_json())
    else:
        print_problems(result.problems)
        print_text(result.verdict)
        print_metrics(result.metrics, f"{runs[0]} after {result.step:,} rounds")


def _print_figure(runs: list[Path], name: str, extractor: Extractor | None, device: str, as_json: bool) -> None:
    from sparring.evaluation.protocols import protocol_named
    from sparring.evaluation.published import measure_figure

    with show_progress("images") as progress:
        result = measure_figure(runs, protocol_named(name), extractor=extractor, device=device, progress=progress)
    if as_json:
        print_json(result.as_json())
        return
    print_problems(result.problems)
    measured = ", ".join(f"{run} after {step:,} rounds" for run, step in result.steps.items())
    print_metrics(result.metrics, f"{measured}, as {result.figure}")


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
    from sparring.monitoring.endurance_study import attack_study, study_attacks

    set_threads(threads)
    study = attack_study(attack, within=within, cap=cap, samples=count)
    rows = study_attacks(runs, study, device=device)
    if as_json:
        print_json(rows)
    else:
        print_problems(list(dict.fromkeys(problem for row in rows for problem in row["problems"])))
        _print_endurance(rows)


def _print_endurance(results: list[Row]) -> None:
    """Means over the games of a run, then the protocol."""
    columns = {"": "", "_reached": " reached", "_overshot": " overshot"}
    names = {
        f"attacks_{side}{part}": f"on {kind}{column}"
        for side, kind in (("fake", "generated"), ("real", "real"))
        for part, column in columns.items()
    }
    rows = []
    for result in results:
        row = {"run": result["run"], "round": f"{result['step']:,}", "G": result["generator"]}
        for name, column in names.items():
            value = result["numbers"][name]
            known = [each for each in value if each is not None] if isinstance(value, list) else [value]
            row[column] = fmean(known) if known else None
        rows.append(row)
    print_rows("Mean attacks until D takes generated samples for real ones, and real for generated", rows)
    for generator, protocol in dict.fromkeys((result["generator"], result["protocol"]) for result in results):
        print_text(f"  G {generator}: {protocol}")


def robustness(
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODULE:FACTORY|FILE.onnx",
            help="A run folder, a function that returns a model, or an ONNX file.",
            show_default=False,
        ),
    ],
    samples: Annotated[int, typer.Option(min=2, help="Held-out samples, and as many training samples.")] = 500,
    on: Annotated[
        str, typer.Option(help="Heads of D, separated by commas: class, source, both.", show_default="class")
    ] = "",
    epsilons: Annotated[
        str, typer.Option(help="Attack sizes, e.g. 2/255,8/255.", show_default="0.5, 1 and 2 x that of training")
    ] = "",
    range_: Annotated[
        str, typer.Option("--range", help="The scale of --epsilons: -1,1 where a paper means images in [-1, 1].")
    ] = "0,1",
    threats: Annotated[
        str,
        typer.Option(help="Sets (standard, quick, autoattack) and threats, separated by commas; or a YAML file."),
    ] = "standard",
    radius: Annotated[bool, typer.Option("--radius", help="Measure the median robust radius, by FAB.")] = False,
    draws: Annotated[
        int, typer.Option(min=1, help="For a randomised network: the expectation over so many draws is attacked.")
    ] = 1,
    checkpoint: Annotated[
        str,
        typer.Option(help="Of a run that chooses its classifier by robust accuracy: best, final (last round) or both."),
    ] = "best",
    transfer_from: Annotated[
        list[str] | None, typer.Option(help="Another run or model, whose adversarial samples are tried on this one.")
    ] = None,
    game: GameIndex = 0,
    data: Annotated[str, typer.Option(help="For a model: digits, a store, or a folder of images.")] = "",
    weights: Annotated[str, typer.Option(help="For a model: a safetensors, .pt or .pth file.")] = "",
    input_range: Annotated[
        str, typer.Option(help="For a model: the range of its input pixels.", show_default="0,1")
    ] = "",
    mean: Annotated[str, typer.Option(help="For a model: subtracted from every channel after that.")] = "",
    std: Annotated[str, typer.Option(help="For a model: the divisor of every channel, last.")] = "",
    out: Annotated[Path | None, typer.Option(help="Where robustness.json goes.", show_default="the run folder")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the samples and attacks.")] = 0,
    device: Device = "auto",
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Attack the classifier of a run, or a model of your own, and check whether the result is to be believed."""
    from sparring.recipes import parse_yaml
    from sparring.report import report_folder
    from sparring.robustness.load import RobustnessOptions
    from sparring.robustness.robustness_json import evaluate_robustness, require_unflagged, run_or_model

    set_threads(threads)
    values = {
        "on": _words(on),
        "epsilons": _words(epsilons) or None,
        "range": parse_yaml(f"[{range_}]", "--range"),
        "threats": threats,
        "samples": samples,
        "checkpoint": checkpoint,
        "transfer_from": transfer_from or [],
        "game": game,
        "data": data or None,
        "draws": draws,
        "radius": radius,
        "seed": seed,
    }
    options = RobustnessOptions.validated(values, "robustness", "see `sparring robustness --help`")
    model = run_or_model(target, weights=weights, input_range=input_range, mean=mean, std=std)
    with show_progress("threats") as progress:
        result = evaluate_robustness(model, options, out=out, device=device, progress=progress)
    if as_json:
        print_json(result.as_json())
    else:
        print_problems(result.problems)
        _print_robustness(target, result)
    page = report_folder(out or Path(target))
    if not as_json:
        print_text(f"report: {page}")
    require_unflagged(result)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _print_robustness(title: str, robustness: Robustness) -> None:
    """Each target: the verdict, all attacks, the worst case, then flags. The page shows the rest."""
    for target in robustness.targets:
        print_text(target.verdict)
        attacks = [
            {"attack": result.name, "kind": result.kind, "norm": result.norm, "epsilon": result.scales}
            | _rate(result.accuracy)
            | {
                "loss": f"{result.loss_start:.3g} .. {result.loss_end:.3g}",
                "calls a sample": f"{result.forwards:.0f} + {result.backwards:.0f}",
                "seconds": f"{result.seconds:.1f}",
            }
            for result in target.attacks
        ]
        samples = f"{target.samples} {target.evaluated_on} samples"
        of = ", ".join(dict.fromkeys((title, target.name)))
        print_rows(f"{of}: {samples}, trained against {target.trained_against or 'nothing'}", attacks)
        worst = [
            {"norm": case.norm, "epsilon": case.scales} | _rate(case.accuracy) | {"over": ", ".join(case.attacks)}
            for case in target.worst
        ]
        print_rows("The worst case of every sample", worst)
        if target.radius:
            print_text(f"median radius, {target.radius.norm}: {target.radius.text} ({target.radius.protocol})")
        for remark in target.remarks:
            print_text(f"note: {remark}")
        for flag in target.flags:
            print_text(f"FLAG: {flag}")


def _rate(rate: Rate) -> Row:
    low, high = rate.interval
    return {"accuracy": percent(rate.value), "95 % interval": f"{100 * low:.1f} .. {100 * high:.1f}"}
