"""Verbs about many runs: sweep and demo."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sparring.cli.options import AsJson, Device, RecipeName, print_json, require_one_process
from sparring.core.errors import say


def demo(
    out: Annotated[Path, typer.Option(help="Where the runs and the page go.")] = Path("runs/demo"),
    steps: Annotated[int, typer.Option(min=1, help="Rounds of every game.")] = 10_000,
    seeds: Annotated[int, typer.Option(min=2, help="Games per cell.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Run the main experiment on built-in data: a report in minutes on two CPU cores."""
    from sparring.cli.demo import demo as run_demo
    from sparring.cli.printing import print_successes
    from sparring.cli.terminal import following

    with following("rounds") as progress:
        result = run_demo(out, steps=steps, seeds=seeds, played=progress.played)
    if as_json:
        runs = {name: outcome.summary.as_json() for name, outcome in result.outcomes.items()}
        print_json({"report": str(result.report), "runs": runs})
        return
    print_successes({name: outcome.summary for name, outcome in result.outcomes.items()})
    say(f"report: {result.report}")


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
    from sparring.cli.sweeping import Workers
    from sparring.cli.sweeping import sweep as run_sweep
    from sparring.cli.terminal import following

    require_one_process("sweep")
    chosen = Workers(workers, device, address, gpus_per_run)
    with following("rounds") as progress:
        swept = run_sweep(recipe, grid or [], out, workers=chosen, audience=progress)
    _print_sweep(swept, as_json)


def resume_grid(folder: Path, device: str, as_json: bool) -> None:
    """Train the missing cells of a sweep; as `sparring resume FOLDER`."""
    from sparring.cli.sweeping import Workers, resume_sweep
    from sparring.cli.terminal import following

    with following("rounds") as progress:
        swept = resume_sweep(folder, workers=Workers(device=device), audience=progress)
    _print_sweep(swept, as_json)


def _print_sweep(swept: Any, as_json: bool) -> None:
    from sparring.cli.printing import print_rows

    files = {name: str(path) for name, path in swept.files().items()}
    if as_json:
        print_json({"rows": swept.rows, **files})
    else:
        print_rows("Cells", swept.telling())
        for name, path in files.items():
            say(f"{name}: {path}")
    swept.require_whole()
