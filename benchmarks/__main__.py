"""`python -m benchmarks`: every case, or those named with --only, as tables or JSON."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

import torch

from benchmarks.cases import CASES, measure_cases
from benchmarks.ceiling import measured_ceiling
from benchmarks.tables import print_ceiling, print_lines
from sparring.cli.terminal import show_progress


def main() -> None:
    """Measure the cases one after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=CASES, default=tuple(CASES), metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    ceiling, results = measured_ceiling(), []
    if not options.json:
        print_ceiling(ceiling)
    with show_progress("cases") as progress:
        for number, (case, lines) in enumerate(measure_cases(options.only, ceiling), start=1):
            progress.advance(number, len(options.only))
            results.append({"case": case.name, "about": case.about, "lines": [asdict(line) for line in lines]})
            if not options.json:
                print_lines(case, lines)
    if options.json:
        print(json.dumps({"ceiling": dict(ceiling), "cases": results}, indent=2))


if __name__ == "__main__":
    main()
