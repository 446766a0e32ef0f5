"""The verb bench."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sparring.cli.options import AsJson, Device, Overrides, Threads
from sparring.cli.options import print_json as _print_json
from sparring.cli.options import set_threads as _set_threads
from sparring.core.errors import UsageError

_REGIMES = "regime=plain,symmetric,mixed,replace"


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
