"""`python -m benchmarks.gpu_check`: everything that needs a GPU, in under eight minutes, as one table.

The tests marked `gpu`; two short trainings; packed games; rounds in every precision, with and without `compile: true`.
Without a GPU it says so and exits with 2; if a check fails, with 1.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.games import REGIMES, game_of_noise, rounds_of
from benchmarks.timing import Work, awaited, seconds_in_turns
from sparring.cli.terminal import print_table, show_progress
from sparring.core.errors import SparringError, print_text
from sparring.gan.state import GANState
from sparring.recipes import Recipe, load, require_game

BUDGET = 440.0
"""Seconds; no check begins later, and a subprocess is stopped then."""
ROOT = Path(__file__).parents[1]
_CHANNELS_LAST = "memory_format=channels_last"
_PRECISIONS = {
    "fp32": ("precision=fp32",),
    "tf32, channels_last": ("precision=tf32", _CHANNELS_LAST),
    "bf16, channels_last": ("precision=bf16", _CHANNELS_LAST),
}
_COMPILED = ("fp32", "bf16, channels_last")
"""Precisions that are also timed with `compile: true`: compiling takes most of a minute."""
_REGIME_OF = {"dcgan32": "symmetric", "resnet32": "replace"}
_TRAININGS = {
    "train dishonest/ring-small": ("dishonest/ring-small", "steps=2000", "evaluate_every=1000"),
    "train asgan/cifar10-dcgan-short on digits": (
        *("asgan/cifar10-dcgan-short", "data=digits", "steps=300", "evaluate_every=0", "sample_every=0"),
        *("generator.width=32", "discriminator.width=32", "precision=bf16"),
    ),
}


class Outcome(NamedTuple):
    """The result of one check.

    Args:
        passed: whether it ran to its end.
        detail: what it measured, or why it failed.
    """

    passed: bool
    detail: str


Check = Callable[[float], Outcome]
"""From the seconds that are left to the outcome."""


def checks(device: torch.device) -> Iterator[tuple[str, Check]]:
    """All checks by name, those that answer most first."""
    yield "pytest -m gpu", partial(_command, "-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider")
    for name, arguments in _TRAININGS.items():
        yield name, partial(_training, arguments, str(device))
    yield "256 packed games of dishonest/ring", partial(_packed, device, 256)
    for networks, regime in _REGIME_OF.items():
        for batch in (64, 256):
            for precision, keys in _PRECISIONS.items():
                name = f"{networks}, {regime}, batch {batch}, {precision}"
                yield name, partial(_rounds, networks, regime, (f"batch_size={batch}", *keys), device)
    for networks, regime in _REGIME_OF.items():
        for precision in _COMPILED:
            name = f"{networks}, {regime}, batch 64, {precision}, compile"
            overrides = ("batch_size=64", *_PRECISIONS[precision], "compile=true")
            yield name, partial(_rounds, networks, regime, overrides, device)


def run_checks(device: torch.device, budget: float = BUDGET) -> list[tuple[str, Outcome, float]]:
    """Run every check until the budget is used up.

    Args:
        device: of the GPU.
        budget: seconds.

    Returns:
        Name, outcome and seconds of every check.
    """
    began, results, every = time.monotonic(), list[tuple[str, Outcome, float]](), list(checks(device))
    with show_progress("checks") as progress:
        for number, (name, check) in enumerate(every, start=1):
            start = time.monotonic()
            left = budget - (start - began)
            try:
                outcome = check(left) if left > 0 else Outcome(False, "not run: out of time")
            except (SparringError, RuntimeError) as error:
                outcome = Outcome(False, f"{type(error).__name__}: {str(error).splitlines()[0]}")
            results.append((name, outcome, time.monotonic() - start))
            progress.advance(number, len(every))
    return results


def _command(*arguments: str | float) -> Outcome:
    """A Python process in the root of the repository; the last argument is the seconds that are left."""
    *words, left = arguments
    try:
        ended = subprocess.run(
            [sys.executable, *map(str, words)], cwd=ROOT, timeout=float(left), capture_output=True, text=True
        )
    except subprocess.TimeoutExpired:
        return Outcome(False, "stopped: out of time")
    lines = (ended.stdout + ended.stderr).strip().splitlines()
    return Outcome(ended.returncode == 0, lines[-1] if lines else "")


def _training(arguments: tuple[str, ...], device: str, left: float) -> Outcome:
    """A training run, then an evaluation of it."""
    with tempfile.TemporaryDirectory() as folder:
        run = f"{folder}/run"
        trained = _command("-m", "sparring", "train", *arguments, "--device", device, "--out", run, left)
        if not trained.passed:
            return trained
        return _command("-m", "sparring", "evaluate", run, "--samples", 500, "--device", device, left)


def _packed(device: torch.device, games: int, _left: float) -> Outcome:
    """A round of packed games against a round of each of eight of them in a loop."""
    recipe, few = require_game(load("dishonest/ring", [f"replicas={games}"]), "dishonest/ring"), 8
    packed = awaited(rounds_of(_game(recipe, device)), device)
    singles = [rounds_of(_game(recipe.single(index), device)) for index in range(few)]

    def loop() -> None:
        for single in singles:
            single()

    together, one_by_one = _medians([packed, awaited(loop, device)])
    packed_us, alone_us = 1e6 * together / games, 1e6 * one_by_one / few
    ratio = alone_us / packed_us
    return Outcome(True, f"{packed_us:,.1f} us a game and round; alone {alone_us:,.1f} us: {ratio:.1f} times as fast")


def _rounds(networks: str, regime: str, overrides: tuple[str, ...], device: torch.device, _left: float) -> Outcome:
    """Rounds of one game: milliseconds of each, and seconds of the first."""
    began = time.perf_counter()
    work = awaited(rounds_of(game_of_noise(networks, REGIMES[regime], *overrides, device=device)), device)
    work()
    first = time.perf_counter() - began
    (seconds,) = _medians([work])
    return Outcome(True, f"{1e3 * seconds:,.2f} ms a round; first {first:,.1f} s")


def _game(recipe: Recipe, device: torch.device) -> GANState:
    return GANState(recipe, recipe.data.open(device), device)


def _medians(works: list[Work], warm_up: int = 5, turns: int = 30) -> list[float]:
    """Median seconds of works that take turns."""
    for work in works:
        for _ in range(warm_up):
            work()
    return [statistics.median(spent) for spent in seconds_in_turns(works, turns)]


def main() -> None:
    """Run the checks on the first GPU and print the table."""
    if not torch.cuda.is_available():
        print_text("gpu_check: no GPU: torch.cuda.is_available() is False", sys.stderr)
        sys.exit(2)
    results = run_checks(torch.device("cuda"))
    rows = [[name, "ok" if outcome.passed else "FAILED", outcome.detail, f"{s:,.1f}"] for name, outcome, s in results]
    title = f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}"
    print_table(title, ["check", "", "result", "seconds"], rows)
    sys.exit(0 if all(outcome.passed for _, outcome, _ in results) else 1)


if __name__ == "__main__":
    main()
