"""The command line: verbs only, each a thin call of the function that does the work. Torch is imported inside verbs."""

from __future__ import annotations

import json
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from sparring.core.errors import SparringError, StorageError, UsageError, say, tell, unexpected
from sparring.core.processes import count, rank

app = typer.Typer(
    name="sparring",
    help="Train GANs under attack, and measure what that does to both players.",
    epilog="Behind any verb, --debug prints the traceback of an error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Prepare and inspect data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0 leaves torch's choice.")]
RunPath = Annotated[Path, typer.Argument(help="A run folder.", show_default=False)]
RecipeName = Annotated[str, typer.Argument(help="A name from `sparring list recipes`, or a YAML file.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Dotted keys, e.g. feedback.probability=0.4"),
]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where the runs and the page go.")] = Path("runs/demo"),
    steps: Annotated[int, typer.Option(min=1, help="Rounds of every game.")] = 10_000,
    seeds: Annotated[int, typer.Option(min=2, help="Games a cell.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Play the main job on built-in data: a report in minutes on two CPU cores."""
    from sparring.cli import tables as listing
    from sparring.cli.demo import demo as play
    from sparring.cli.terminal import following

    with following("rounds") as follower:
        result = play(out, steps=steps, seeds=seeds, played=follower.played)
    if as_json:
        _print_json({"report": str(result.report), "runs": {k: v.summary for k, v in result.outcomes.items()}})
        return
    listing.print_successes({name: outcome.summary for name, outcome in result.outcomes.items()})
    say(f"report: {result.report}")


@app.command()
def train(
    recipe: RecipeName,
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option(help="The run folder to make.")] = ...,  # type: ignore[assignment]
    device: Device = "auto",
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Train a recipe in a new run folder."""
    from sparring.recipes import load

    loaded = load(recipe, overrides)  # a mistake is told before the rest is even imported
    from sparring.cli.terminal import following
    from sparring.training.loop import train as play

    _set_threads(threads)
    with following("rounds") as follower:
        summary = play(loaded, out, device=device, spectator=follower)
    _finish(out, summary, as_json)


@app.command()
def finetune(
    run: RunPath,
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option(help="The run folder to make.")] = ...,  # type: ignore[assignment]
    game: Annotated[int, typer.Option(min=0, help="Which game, where the run packs several.")] = 0,
    device: Device = "auto",
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Make a classifier of a run's D, on real samples and on those of its G, all under attack."""
    from sparring.classifier.finetune import finetuning
    from sparring.cli.terminal import following
    from sparring.runs.folder import RunFolder
    from sparring.training.loop import train as play

    made = finetuning(RunFolder.open(run), game=game, overrides=overrides)
    _set_threads(threads)
    with following("rounds") as follower:
        for note in made.notes:
            follower.note(note)
        summary = play(made.recipe, out, device=device, spectator=follower)
        follower.note(f"the recipe, with every key: {out / 'recipe.yaml'}")
    _finish(out, summary, as_json)


@app.command()
def sweep(
    recipe: RecipeName,
    grid: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=A,B,...]...", help="Dotted keys with values in YAML; 0..9 is 0 to 9; one value is for all."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The sweep's folder, new or that of the same sweep.")] = ...,  # type: ignore[assignment]
    workers: Annotated[
        int, typer.Option(min=0, help="Runs at a time.", show_default="one for each core, or for a GPU")
    ] = 0,
    device: Device = "auto",
    address: Annotated[
        str, typer.Option(help="Ray: local, auto, or ray://HOST:PORT.", show_default="processes of this machine")
    ] = "",
    gpus_per_run: Annotated[float, typer.Option(min=0, help="Ray: share of a GPU that a run takes.")] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Play every cell of a grid that is not complete yet; one table and one page with a map of the grid."""
    from sparring.cli.sweeping import Workers
    from sparring.cli.sweeping import sweep as play
    from sparring.cli.terminal import following

    _require_one_process("sweep")
    chosen = Workers(workers, device, address, gpus_per_run)
    with following("rounds") as follower:
        swept = play(recipe, grid or [], out, workers=chosen, audience=follower)
    _tell_swept(swept, as_json)


@app.command()
def resume(
    run: Annotated[Path, typer.Argument(help="A run folder, or that of a sweep.", show_default=False)],
    device: Device = "auto",
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Continue a run from its newest sound checkpoint, or a sweep with the cells that are missing."""
    from sparring.cli.terminal import following
    from sparring.sweeps.sweep import is_sweep
    from sparring.training.loop import resume as play

    if is_sweep(run):
        from sparring.cli.sweeping import Workers, resume_sweep

        _require_one_process("resume")
        with following("rounds") as follower:
            swept = resume_sweep(run, workers=Workers(device=device), audience=follower)
        _tell_swept(swept, as_json)
        return
    with following("rounds") as follower:
        summary = play(run, device=device, threads=threads, spectator=follower)
    _finish(run, summary, as_json)


@app.command()
def evaluate(
    run: Annotated[
        str, typer.Argument(help="A run folder; with --robust also a model, module:factory.", show_default=False)
    ],
    extractor: Annotated[
        str | None,
        typer.Option(help="Of features, e.g. '{name: inception, weights: FILE}'; the recipe's by default."),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=2, help="How many samples a game; 10,000, or 500 with --robust.")
    ] = None,
    robust: Annotated[
        bool, typer.Option("--robust", help="Attack what the run learned, and doubt the result.")
    ] = False,
    on: Annotated[
        str, typer.Option(help="Heads of D: class, source, both, with commas between.", show_default="class")
    ] = "",
    epsilons: Annotated[
        str, typer.Option(help="Sizes, e.g. 2/255,8/255.", show_default="around what was trained against")
    ] = "",
    threats: Annotated[
        str, typer.Option(help="standard, quick, names with commas between, or a YAML file.", show_default="standard")
    ] = "",
    transfer_from: Annotated[
        list[str] | None, typer.Option(help="Another run or model, whose adversarial samples are shown to this one.")
    ] = None,
    game: Annotated[int, typer.Option(min=0, help="Which game, where the run packs several.")] = 0,
    data: Annotated[str, typer.Option(help="For a model: digits, or a store.")] = "",
    weights: Annotated[str, typer.Option(help="For a model: a safetensors file.")] = "",
    input_range: Annotated[
        str, typer.Option(help="For a model: what it wants pixels to be in.", show_default="0,1")
    ] = "",
    mean: Annotated[str, typer.Option(help="For a model: taken off every channel after that.")] = "",
    std: Annotated[str, typer.Option(help="For a model: what every channel is divided by, last.")] = "",
    out: Annotated[Path | None, typer.Option(help="Where robustness.json goes.", show_default="the run folder")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of samples and attacks, with --robust.")] = 0,
    device: Device = "auto",
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Measure both players of a run's newest checkpoint afresh, or its classifier; with --robust, under attack."""
    chosen = {
        "on": _words(on),
        "epsilons": _words(epsilons),
        "threats": threats,
        "transfer_from": transfer_from,
        "game": game,
        "data": data,
        "seed": seed,
    }
    own = {"weights": weights, "input_range": input_range, "mean": mean, "std": std}
    _set_threads(threads)
    if not robust:
        _refuse({**chosen, **own, "out": out}, "means nothing without --robust", "add --robust")
        _evaluate(Path(run), extractor, samples or 10_000, device, as_json)
        return
    _refuse({"extractor": extractor}, "means nothing with --robust", "evaluate without --robust for the generator")
    from sparring.cli.tables import print_robustness
    from sparring.cli.terminal import following
    from sparring.report import report_folder
    from sparring.robustness.evaluate import evaluate_robustness, require_unflagged, robust_options
    from sparring.robustness.own_models import target_of

    given = {key: value for key, value in (chosen | {"samples": samples}).items() if value}
    options, target = robust_options(given), target_of(run, **own)
    with following("threats") as follower:
        found = evaluate_robustness(target, options, out=out, device=device, played=follower.played)
    if as_json:
        _print_json(found)
    else:
        _tell_problems(found["problems"])
        print_robustness(run, found)
    page = report_folder(out or Path(run))
    if not as_json:
        say(f"report: {page}")
    require_unflagged(found)


def _refuse(options: dict[str, Any], why: str, remedy: str) -> None:
    """Refuse options that are given where they mean nothing."""
    name = next((name for name, value in options.items() if value), None)
    if name is not None:
        raise UsageError(f"evaluate: --{name.replace('_', '-')} {why}", remedy)


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _evaluate(run: Path, extractor: str | None, samples: int, device: str, as_json: bool) -> None:
    from sparring.cli.tables import print_metrics
    from sparring.evaluation.trained import evaluate as measure
    from sparring.networks import Extractor
    from sparring.recipes import parse_piece

    chosen = None if extractor is None else parse_piece(Extractor, extractor)
    found = measure(run, samples=samples, extractor=chosen, device=device)
    if as_json:
        _print_json(found)
    else:
        _tell_problems(found["problems"])
        print_metrics(found["metrics"], f"{run} after {found['step']:,} rounds")


@app.command()
def attack(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.", show_default=False)],
    attack: Annotated[str, typer.Option(help="One attack, e.g. direct or '{name: fgsm, epsilon: 2/255}'.")] = "fgsm",
    within: Annotated[float, typer.Option(help="How near to the other side's mean D must come.")] = 0.02,
    cap: Annotated[int, typer.Option(min=1, help="Attacks a sample, at most.")] = 100,
    count: Annotated[int, typer.Option("-n", min=1, help="How many samples a side and game.")] = 64,
    device: Device = "auto",
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Count the attacks that it takes until each run's D mistakes one side's samples for the other's."""
    from sparring.cli.tables import print_attacks
    from sparring.evaluation.attack_endurance import attack_study, study_attacks

    _set_threads(threads)
    study = attack_study(attack, within=within, cap=cap, samples=count)
    rows = study_attacks(runs, study, device=device)
    if as_json:
        _print_json(rows)
    else:
        _tell_problems(list(dict.fromkeys(problem for row in rows for problem in row["problems"])))
        print_attacks(rows)


@app.command()
def sample(
    run: RunPath,
    count: Annotated[int, typer.Option("-n", min=1, help="How many samples a game.")] = 64,
    out: Annotated[Path, typer.Option(help="A .png picture, or .npz arrays.")] = Path("samples.png"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the latents.")] = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Draw samples from a run's newest checkpoint."""
    from sparring.evaluation.trained import write_samples

    found = write_samples(run, out, count=count, seed=seed, device=device)
    if as_json:
        _print_json(found)
    else:
        _tell_problems(found["problems"])
        say(f"{found['out']}: {found['samples']} samples after {found['step']:,} rounds")


@app.command()
def report(
    path: Annotated[Path, typer.Argument(help="A run folder, an evaluation, or a folder of run folders.")],
    as_json: AsJson = False,
) -> None:
    """Write report.html for a run or an evaluation, or one page for all runs below a folder."""
    from sparring.report import report_folder

    page = report_folder(path)
    _print_json({"report": str(page)}) if as_json else say(str(page))


@app.command("list")
def list_(
    kind: Annotated[
        str, typer.Argument(help="recipes, families, or one of them: objectives, feedback, ...")
    ] = "families",
    as_json: AsJson = False,
) -> None:
    """List recipes or the pieces of a family, with what is numerically true of them."""
    from sparring.cli import tables as listing

    title, rows = listing.listed(kind)
    _print_json(rows) if as_json else listing.print_rows(title, rows)


@app.command()
def show(
    recipe: Annotated[str | None, typer.Argument(help="A recipe's name or file.", show_default=False)] = None,
    overrides: Overrides = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON schema of recipes, for editors.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print a recipe with every key resolved, or the JSON schema of all recipes."""
    from sparring.core.pieces import json_schema
    from sparring.recipes import ClassifierRecipe, Recipe, load, to_yaml

    if schema:
        _print_json(json_schema(Recipe, ClassifierRecipe))
    elif recipe is None:
        raise UsageError("show: no RECIPE given", "name one of `sparring list recipes`, or ask for --schema")
    elif as_json:
        _print_json(load(recipe, overrides).model_dump(mode="json"))
    else:
        print(to_yaml(load(recipe, overrides)), end="")


@app.command()
def theory(
    perturbation: Annotated[
        str | None, typer.Argument(help="A perturbation, e.g. sqrt or '{name: power, exponent: 0.7}'.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print which adversaries each objective provably survives, or which conditions of Theorem 5 one meets."""
    from sparring.cli import tables as listing

    if perturbation is not None:
        rows = listing.conditions(perturbation)
        _print_json(rows) if as_json else listing.print_rows("Theorem 5's conditions", rows)
        return
    _print_json(listing.theory()) if as_json else listing.print_theory()


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="A run folder or a prepared store.")], as_json: AsJson = False
) -> None:
    """Check every checksum of a run's checkpoints, or of a store."""
    from sparring.evaluation.trained import verify as check

    checked = check(path)
    _print_json({"sound": checked}) if as_json else say("\n".join(f"{name}: sound" for name in checked))


_REGIMES = "regime=plain,symmetric,mixed,replace"


@app.command()
def bench(
    name: Annotated[
        str | None,
        typer.Argument(
            help="A case (round-..., update-..., packed-..., pgd-20, data, ...), or a recipe; all cases without."
        ),
    ] = None,
    overrides: Overrides = None,
    vary: Annotated[
        str,
        typer.Option(
            metavar="KEY=A,B,...",
            help="Of a recipe: what is compared with its first value.",
            show_default=_REGIMES,
        ),
    ] = "",
    turns: Annotated[int, typer.Option(min=1, help="Of a recipe: how often every variant comes up.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="Of a recipe: rounds a turn.")] = 10,
    device: Device = "auto",
    threads: Threads = 0,
    as_json: AsJson = False,
) -> None:
    """Time this library against the published way and the machine's ceiling; or the variants of one recipe's game."""
    from sparring.bench import CASES, print_timings
    from sparring.bench import bench as measure
    from sparring.cli.terminal import following
    from sparring.recipes import recipe_names

    _set_threads(threads)
    if name is None or name in CASES:
        changes = [*(overrides or []), *([f"--vary {vary}"] if vary else [])]
        if changes:
            raise UsageError(f"bench: {changes[0]} means nothing with a case", "give a recipe to change keys of")
        _bench_cases(() if name is None else (name,), as_json)
        return
    if name not in recipe_names() and not Path(name).exists():
        raise UsageError(f"bench: no case or recipe {name!r}", f"a case is one of {', '.join(CASES)}")
    with following("turns") as follower:
        timings = measure(
            name,
            vary or _REGIMES,
            overrides=overrides or [],
            turns=turns,
            rounds=rounds,
            device=device,
            played=follower.played,
        )
    _print_json([asdict(timing) for timing in timings]) if as_json else print_timings(timings)


def _bench_cases(names: tuple[str, ...], as_json: bool) -> None:
    from sparring.bench import measure_cases, measured_ceiling, print_ceiling, print_lines
    from sparring.cli.terminal import following

    ceiling, found = measured_ceiling(), []
    if not as_json:
        print_ceiling(ceiling)
    with following("cases") as follower:
        for case, lines in measure_cases(names, ceiling=ceiling, played=follower.played):
            found.append({"case": case.name, "about": case.about, "lines": [asdict(line) for line in lines]})
            if not as_json:
                print_lines(case, lines)
    if as_json:
        _print_json({"ceiling": dict(ceiling), "cases": found})


@data_app.command("prepare")
def data_prepare(
    source: Annotated[
        str,
        typer.Argument(
            help="digits, a hub id, an .npz file, or a folder: CelebA, LSUN, ImageNet, Parquet, IDX, images."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The store to make.")] = ...,  # type: ignore[assignment]
    size: Annotated[int | None, typer.Option(min=4, help="Centre-crop and resize to this side.")] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="FIRST..LAST", help="Keep these classes only, counted from 0.")
    ] = None,
    min_side: Annotated[int | None, typer.Option(min=1, help="Drop images with a side of fewer pixels.")] = None,
    crop: Annotated[
        int | None, typer.Option(min=4, help="Keep the middle square of this many pixels, then resize.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Turn a data set, or a part of it, into one store of uint8 arrays with checksums."""
    from sparring.cli.terminal import following
    from sparring.data import Selection, label_range, prepare

    selection = Selection(labels=None if labels is None else label_range(labels), min_side=min_side, crop=crop)
    with following("images") as follower:
        manifest = prepare(source, out, size=size, selection=selection, progress=follower.played)
    if as_json:
        _print_json(manifest.model_dump(mode="json"))
        return
    splits = ", ".join(f"{split.count:,} {name}" for name, split in manifest.splits.items())
    say(f"{out}: {splits}; {len(manifest.classes)} classes; samples of {manifest.shape}")
    for name, split in manifest.splits.items():
        left_out = selection.left_out(split.dropped)
        if left_out:
            say(f"dropped of {name}: {left_out}")


@data_app.command("inspect")
def data_inspect(store: Annotated[Path, typer.Argument(help="A prepared store.")], as_json: AsJson = False) -> None:
    """Say what a store holds."""
    from sparring.cli import tables as listing
    from sparring.data import describe

    facts = describe(store)
    _print_json(facts) if as_json else listing.print_store(store, facts)


def main() -> None:
    """Run the command line and leave with the exit code that DESIGN promises."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    sys.path.insert(0, "")  # a recipe may name a class of a module in the working folder
    try:
        app(args=arguments)
    except Exception as error:
        if debug:
            traceback.print_exc()
        told = _as_told(error)
        tell(told)
        sys.exit(told.exit_code)


_NO_MEMORY = ("can't allocate memory", "out of memory")
"""What torch says, as a RuntimeError, of the memory of a CPU and of a GPU."""


def _as_told(error: Exception) -> SparringError:
    if isinstance(error, SparringError):
        return error
    if isinstance(error, OSError):
        return StorageError.from_os(error, "the file system")
    if isinstance(error, MemoryError) or any(sign in str(error) for sign in _NO_MEMORY):
        told = (str(error) or "no more to be had").splitlines()[0]
        return SparringError(f"out of memory: {told}", "make batch_size, replicas or the networks smaller")
    return unexpected(error, "run it again with --debug for the traceback")


def _tell_problems(problems: list[str]) -> None:
    for problem in problems:
        say(f"passed over: {problem}", sys.stderr)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, allow_nan=False))


def _set_threads(threads: int) -> None:
    if threads:
        import torch

        torch.set_num_threads(threads)


def _require_one_process(verb: str) -> None:
    if count() > 1:
        raise UsageError(f"{verb}: {count()} processes cannot play one sweep", "start it without torchrun: --workers N")


def _tell_swept(swept: Any, as_json: bool) -> None:
    from sparring.cli.tables import print_rows

    files = {name: str(path) for name, path in swept.files().items()}
    if as_json:
        _print_json({"rows": swept.rows, **files})
    else:
        print_rows("Cells", swept.telling())
        for name, path in files.items():
            say(f"{name}: {path}")
    swept.require_whole()


def _finish(out: Path, summary: dict[str, Any], as_json: bool) -> None:
    if rank():
        return  # the first of the processes that `torchrun` started tells
    from sparring.cli.tables import print_metrics
    from sparring.recipes import Recipe
    from sparring.report import report_run
    from sparring.runs.folder import RunFolder
    from sparring.theory import covered_by

    recipe = RunFolder.open(out).recipe()
    page = report_run(RunFolder.open(out))
    if as_json:
        _print_json(summary | {"report": str(page)})
        return
    if summary["metrics"]:
        print_metrics(summary["metrics"], f"{out} after {summary['steps']:,} rounds, {summary['seconds']:,.0f} s")
    if isinstance(recipe, Recipe):
        say(f"theory: {covered_by(recipe.objective, recipe.feedback)}")
    say(f"report: {page}")
