"""`python -m torture`: many trials of every promise, and one table of trials, failures and the 95 % bound."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path

import torch
from scipy.stats import beta

from torture.promise import Promise, promises

_BEGIN, _END = "<!-- last result -->\n", "<!-- end of the last result -->\n"


def main() -> int:
    """Run the trials, all or until Ctrl-C, print the table, and return 1 if a promise is broken."""
    options = _options()
    torch.set_num_threads(1)
    began = time.monotonic()
    chosen = [promise for promise in promises() if not options.only or promise.number in options.only]
    planned = {promise.number: max(1, round(promise.long * options.scale)) for promise in chosen}
    tried, broken = dict.fromkeys(planned, 0), dict.fromkeys(planned, 0)
    with tempfile.TemporaryDirectory(prefix="torture-") as shared, suppress(KeyboardInterrupt):
        for number, failure in _attempts(planned, options.seed, options.jobs, Path(shared)):
            tried[number] += 1
            if failure:
                broken[number] += 1
                print(failure, file=sys.stderr, flush=True)
            if sum(tried.values()) % 100 == 0:
                print(f"{sum(tried.values())} of {sum(planned.values())} trials", file=sys.stderr, flush=True)
    lines = _table(chosen, tried, broken)
    lines += ["", _circumstances(options.seed, options.jobs, time.monotonic() - began)]
    print("\n".join(lines))
    if options.write:
        _write(options.write, lines)
    return 1 if any(broken.values()) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m torture", description=__doc__)
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="promises by number; all by default")
    parser.add_argument("--seed", type=int, default=0, help="of all chance: another seed, another schedule")
    parser.add_argument("--scale", type=float, default=1.0, help="how many of the trials, as a factor")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="trials at a time")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the table into this page")
    return parser.parse_args()


def _attempts(planned: dict[int, int], seed: int, jobs: int, shared: Path) -> Iterator[tuple[int, str]]:
    """The promise's number and what broke it, or nothing, for every trial as it ends; all promises advance together."""
    trials = [(index / count, number, index) for number, count in planned.items() for index in range(count)]
    pool = ProcessPoolExecutor(jobs)
    try:
        futures = [pool.submit(_attempt, number, index, seed, shared) for _, number, index in sorted(trials)]
        for future in as_completed(futures):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _attempt(number: int, index: int, seed: int, shared: Path) -> tuple[int, str]:
    promise = next(promise for promise in promises() if promise.number == number)
    try:
        promise.attempt(index, seed=seed, shared=shared)
    except Exception:
        return number, f"promise {number}, trial {index}, seed {seed}:\n{traceback.format_exc()}"
    return number, ""


def _table(chosen: Sequence[Promise], tried: dict[int, int], broken: dict[int, int]) -> list[str]:
    rows = ["| # | promise | trials | failures | 95 % bound on the rate |", "|---|---|---|---|---|"]
    for promise in chosen:
        trials, failures = tried[promise.number], broken[promise.number]
        result = f"{trials:,} | {failures} | {_bound(trials, failures):.2%}"
        rows.append(f"| {promise.number} | {promise.title} | {result} |")
    return rows


def _bound(trials: int, failures: int) -> float:
    """The one-sided 95 % upper bound of Clopper and Pearson on the rate of failure."""
    return float(beta.ppf(0.95, failures + 1, trials - failures)) if failures < trials else 1.0


def _circumstances(seed: int, jobs: int, seconds: float) -> str:
    return (
        f"{datetime.date.today()}, seed {seed}, {jobs} at a time on {os.cpu_count()} {platform.machine()} cores, "
        f"Python {platform.python_version()}, torch {torch.__version__}, {seconds / 60:.0f} minutes."
    )


def _write(path: Path, lines: list[str]) -> None:
    before, _, rest = path.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    path.write_text(before + _BEGIN + "\n" + "\n".join(lines) + "\n\n" + _END + after)


if __name__ == "__main__":
    sys.exit(main())
