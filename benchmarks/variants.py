"""`python -m benchmarks.variants RECIPE KEY=A,B,...`: rounds per second of one recipe with different values of a key.

The variants take turns, so that other load on the machine affects all of them alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from benchmarks.games import rounds_of
from benchmarks.timing import Work, awaited, billions, ratio_of, seconds_in_turns
from sparring.cli.terminal import print_table
from sparring.gan.state import GANState
from sparring.recipes import load, parse_yaml, require_game
from sparring.runs.environment import choose_device

WARM_UP = 5
"""Untimed rounds of every variant; the first also asks the networks whether they couple samples."""


@dataclass(frozen=True)
class Timing:
    """One variant.

    Args:
        variant: the varied key with its value.
        seconds: of a round, the median over turns.
        relative: rounds a second as a multiple of the first variant's, the median over turns.
        low, high: quartiles of `relative` over turns.
        multiply_adds: of one round, in billions: products of matrices and convolutions, forward and backward.
    """

    variant: str
    seconds: float
    relative: float
    low: float
    high: float
    multiply_adds: float


def time_variants(
    recipe: str,
    vary: str,
    *,
    overrides: Sequence[str] = (),
    turns: int = 10,
    rounds: int = 10,
    device: str = "auto",
) -> list[Timing]:
    """Time the rounds of a recipe for several values of one key.

    Args:
        recipe: a recipe's name or path.
        vary: `KEY=A,B,...`, a dotted key and its values in YAML; the first is the reference.
        overrides: further `KEY=VALUE`.
        turns: how often every variant is timed.
        rounds: in each turn.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
    """
    key, _, values = vary.partition("=")
    variants = [json.dumps(value) for value in parse_yaml(f"[{values}]", vary)]
    works = [_rounds(recipe, [*overrides, f"{key}={value}"], choose_device(device)) for value in variants]
    for work in works:
        _repeated(work, WARM_UP)()
    counts = [billions(work) for work in works]
    seconds = seconds_in_turns([_repeated(work, rounds) for work in works], turns)
    return [
        _timing(f"{key}={variant}".replace('"', ""), spent, seconds[0], rounds, count)
        for variant, spent, count in zip(variants, seconds, counts, strict=True)
    ]


def _rounds(recipe: str, overrides: list[str], device: torch.device) -> Work:
    loaded = require_game(load(recipe, overrides), recipe)
    return awaited(rounds_of(GANState(loaded, loaded.data.open(device), device)), device)


def _repeated(work: Work, times: int) -> Work:
    def repeat() -> None:
        for _ in range(times):
            work()

    return repeat


def _timing(variant: str, spent: Sequence[float], first: Sequence[float], rounds: int, multiply_adds: float) -> Timing:
    ratio = ratio_of(first, spent)
    return Timing(variant, statistics.median(spent) / rounds, ratio.median, ratio.low, ratio.high, multiply_adds)


def _print(timings: Sequence[Timing]) -> None:
    """The variants as a table."""
    rows = [
        [
            timing.variant,
            f"{1 / timing.seconds:,.1f}",
            f"{timing.relative:.2f}",
            f"{timing.low:.2f} .. {timing.high:.2f}",
            f"{timing.multiply_adds:,.3f}",
            f"{timings[0].multiply_adds / timing.multiply_adds:.2f}",
        ]
        for timing in timings
    ]
    columns = [
        "variant",
        "rounds a second",
        "relative",
        "quartiles",
        "10^9 multiply-adds a round",
        "expected from those",
    ]
    print_table("", columns, rows)


def main() -> None:
    """Time the variants given on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.variants", description=__doc__)
    parser.add_argument("recipe", help="a recipe's name or file")
    parser.add_argument("vary", metavar="KEY=A,B,...", help="a dotted key and its values; the first is the reference")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    options = vars(parser.parse_args())
    torch.set_num_threads(options.pop("threads"))
    _print(time_variants(options.pop("recipe"), options.pop("vary"), **options))


if __name__ == "__main__":
    main()
