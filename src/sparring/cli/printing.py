"""Results as tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from sparring.cli.terminal import print_table
from sparring.core.errors import print_text
from sparring.core.intervals import percent
from sparring.core.pieces import Piece
from sparring.runs.schema import (
    MetricValue,
    Rate,
    Robustness,
    Summary,
    TargetRobustness,
    ThreatResult,
    TransferMatrix,
)

Row = dict[str, Any]


def print_rows(title: str, rows: list[Row]) -> None:
    """Rows with equal keys as a table."""
    columns = list(rows[0]) if rows else []
    print_table(title, columns, [[cell(row[column]) for column in columns] for row in rows])


def print_metrics(metrics: Mapping[str, MetricValue], title: str) -> None:
    """The metrics of a summary, and below them the protocol of each."""
    rows = [[name, cell(metric.value), _intervals(metric)] for name, metric in metrics.items()]
    print_table(title, ["measure", "value", "95 % interval"], rows)
    for protocol in dict.fromkeys(metric.protocol for metric in metrics.values()):
        names = ", ".join(name for name, metric in metrics.items() if metric.protocol == protocol)
        print_text(f"  {names}: {protocol}")


def print_attacks(rows: list[Row]) -> None:
    """How many attacks each D withstands: means over the games of a run, then the protocol."""

    def mean(row: Row, name: str) -> str:
        value = row["numbers"][name]
        return f"{fmean(value if isinstance(value, list) else [value]):.4g}"

    parts = ("", "_reached", "_overshot")
    names = [f"attacks_{side}{part}" for side in ("fake", "real") for part in parts]
    columns = ["run", "round", "G", "on generated", "reached", "overshot", "on real", "reached", "overshot"]
    table = [[row["run"], f"{row['step']:,}", row["generator"], *(mean(row, name) for name in names)] for row in rows]
    title = "Mean attacks until D takes generated samples for real ones, and real for generated; shares of samples"
    print_table(title, columns, table)
    for protocol in dict.fromkeys(row["protocol"] for row in rows):
        print_text(f"  G {next(row['generator'] for row in rows if row['protocol'] == protocol)}: {protocol}")


def print_robustness(title: str, robustness: Robustness) -> None:
    """Each target: all attacks, worst case, generalization gap, transfer, sanity checks; then headline or flags."""
    for target in robustness.targets:
        print_table(
            f"{title}, {target.name}: {target.samples} {target.evaluated_on} samples, trained against "
            f"{target.trained_against or 'nothing'}",
            ["attack", "kind", "norm", "epsilon", "accuracy", "95 % interval", "loss", "calls a sample", "seconds"],
            [_attack_cells(result) for result in target.attacks],
        )
        worst = [
            [case.norm, case.scales, *_rate_cells(case.accuracy), ", ".join(case.attacks)] for case in target.worst
        ]
        print_table("The worst case of every sample", ["norm", "epsilon", "accuracy", "95 % interval", "over"], worst)
        print_table("Generalization gap", ["", "held out", "training"], _gap_rows(target))
        _print_transfer(target.transfer)
        checks = [
            [check.name, {True: "yes", False: "FLAG", None: "-"}[check.holds], check.detail]
            for check in target.sanity_checks
        ]
        print_table("Sanity checks", ["check", "holds", "detail"], checks)
        for remark in target.remarks:
            print_text(f"note: {remark}")
        for flag in target.flags:
            print_text(f"FLAG: {flag}")
        if target.headline:
            print_text(f"{target.name}: {target.headline.text}")


def _attack_cells(result: ThreatResult) -> list[str]:
    calls = f"{result.forwards:.0f} + {result.backwards:.0f}"
    loss = f"{result.loss_start:.3g} .. {result.loss_end:.3g}"
    cells = [result.name, result.kind, result.norm, result.scales, *_rate_cells(result.accuracy)]
    return [*cells, loss, calls, f"{result.seconds:.1f}"]


def _rate_cells(rate: Rate) -> list[str]:
    low, high = rate.interval
    return [percent(rate.value), f"{100 * low:.1f} .. {100 * high:.1f}"]


def _gap_rows(target: TargetRobustness) -> list[list[str]]:
    """Accuracy here and on training samples, clean and under the main attack at every size."""
    if target.train_clean is None:
        return []
    rows = [["clean", percent(target.clean.value), percent(target.train_clean.value)]]
    for training in target.train_attacked:
        here = next(each for each in target.attacks if each.epsilon == training.epsilon)
        label = f"{here.name}, {here.scales}"
        rows.append([label, percent(here.accuracy.value), percent(training.accuracy.value)])
    return rows


def _print_transfer(matrix: TransferMatrix | None) -> None:
    if matrix is None:
        return
    rows = [
        [source, *(f"{percent(value)} [{100 * low:.0f}, {100 * high:.0f}]" for value, (low, high) in cells)]
        for source, values, intervals in zip(matrix.sources, matrix.accuracy, matrix.interval, strict=True)
        for cells in [list(zip(values, intervals, strict=True))]
    ]
    title = f"Transfer of {matrix.attack}, {matrix.scales}: accuracy of the columns on samples made of the rows"
    print_table(title, ["made of", *matrix.targets], rows)


def print_successes(summaries: Mapping[str, Summary]) -> None:
    """The runs of the demo by name: games that learned every mode, with a Wilson interval."""
    rows = []
    for name, summary in summaries.items():
        metrics = summary.metrics
        wins = [estimate.value or 0.0 for estimate in metrics["success"].estimates]
        rows.append(
            [
                name,
                f"{sum(wins):.0f} of {len(wins)}",
                _intervals(metrics["success_rate"]),
                cell(metrics["modes"].value),
                cell(metrics["high_quality"].value),
                f"{summary.seconds:,.0f}",
            ]
        )
    columns = ["run", "learned all modes", "95 % interval", "modes covered", "high quality", "seconds"]
    print_table("Final round, every game", columns, rows)


def print_store(path: Path, facts: Row) -> None:
    """The facts of `sparring data inspect`."""
    rows = [[key, cell(value)] for key, value in facts.items() if key != "splits"]
    print_table(str(path), ["fact", "value"], rows)
    for name, split in facts["splits"].items():
        print_table(name, ["fact", "value"], [[key, cell(value)] for key, value in split.items()])


def _intervals(metric: MetricValue) -> str:
    intervals = [estimate.interval for estimate in metric.estimates if estimate.interval]
    return " ".join(f"[{low:.2g}, {high:.2g}]" for low, high in intervals) or "-"


def cell(value: Any) -> str:
    """A value in a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " ".join(cell(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {cell(item)}" for key, item in value.items())
    if isinstance(value, Piece):
        return value.name
    return "-" if value is None else str(value)
