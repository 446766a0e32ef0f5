"""Results as tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from sparring.cli.terminal import print_table
from sparring.cli.theorems import perturbation_table, theory_table
from sparring.core.errors import say
from sparring.core.pieces import Piece
from sparring.theory import TheoryRow

Row = dict[str, Any]


def print_rows(title: str, rows: list[Row]) -> None:
    """Rows with equal keys as a table."""
    columns = list(rows[0]) if rows else []
    print_table(title, columns, [[cell(row[column]) for column in columns] for row in rows])


def print_theory() -> None:
    """The tables of `sparring theory`: adversaries down, objectives across."""
    games = theory_table()
    objectives = list(dict.fromkeys(row.objective for row in games))
    adversaries = list(dict.fromkeys(row.adversary for row in games))
    cells = {(row.adversary, row.objective): _theory_cell(row) for row in games}
    rows = [[name, *(cells[name, objective] for objective in objectives)] for name in adversaries]
    print_table("Is P_G = P_data best for G against the optimal D?", ["adversary", *objectives], rows)
    say("  Theorem 5, 6: the theorem covers the game, and no better P_G was found; uncovered: no theorem, none found")
    say("  broken: a P_G was found with V below V(P_data) by the number shown (--json names it)\n")
    print_rows("Theorem 5's conditions on a perturbation", [row._asdict() for row in perturbation_table()])


def print_metrics(metrics: Mapping[str, Any], title: str) -> None:
    """The metrics of a summary, and below them the protocol of each."""
    rows = [[name, cell(entry["value"]), _interval(entry["interval"])] for name, entry in metrics.items()]
    print_table(title, ["measure", "value", "95 % interval"], rows)
    for protocol in dict.fromkeys(entry["protocol"] for entry in metrics.values()):
        names = ", ".join(name for name, entry in metrics.items() if entry["protocol"] == protocol)
        say(f"  {names}: {protocol}")


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
        say(f"  G {next(row['generator'] for row in rows if row['protocol'] == protocol)}: {protocol}")


def print_robustness(target: str, result: Row) -> None:
    """Each target: all attacks, worst case, generalization gap, transfer, sanity checks; then headline or flags."""
    for entry in result["subjects"]:
        print_table(
            f"{target}, {entry['subject']}: {entry['samples']} {entry['evaluated_on']} samples, trained against "
            f"{entry['trained_against'] or 'nothing'}",
            ["attack", "kind", "norm", "epsilon", "accuracy", "95 % interval", "loss", "calls a sample", "seconds"],
            [_attack_cells(row) for row in entry["attacks"]],
        )
        worst = [
            [row["norm"], row["scales"], *_rate_cells(row["accuracy"]), ", ".join(row["attacks"])]
            for row in entry["worst"]
        ]
        print_table("The worst case of every sample", ["norm", "epsilon", "accuracy", "95 % interval", "over"], worst)
        print_table("Generalization gap", ["", "held out", "training"], _gap_rows(entry))
        _print_transfer(entry["transfer"])
        checks = [
            [check["check"], {True: "yes", False: "FLAG", None: "-"}[check["holds"]], check["detail"]]
            for check in entry["battery"]
        ]
        print_table("Sanity checks", ["check", "holds", "detail"], checks)
        for remark in entry["remarks"]:
            say(f"note: {remark}")
        say("\n".join(f"FLAG: {flag}" for flag in entry["flags"]) or f"{entry['subject']}: {entry['headline']['text']}")


def _attack_cells(row: Row) -> list[str]:
    loss, calls = f"{row['loss_start']:.3g} .. {row['loss_end']:.3g}", f"{row['forwards']:.0f} + {row['backwards']:.0f}"
    cells = [row["name"], row["kind"], row["norm"], row["scales"], *_rate_cells(row["accuracy"])]
    return [*cells, loss, calls, f"{row['seconds']:.1f}"]


def _rate_cells(rate: Row) -> list[str]:
    low, high = rate["interval"]
    return [f"{100 * rate['value']:.1f} %", f"{100 * low:.1f} .. {100 * high:.1f}"]


def _gap_rows(entry: Row) -> list[list[str]]:
    """Accuracy on held-out and on training samples, clean and under the main attack at every epsilon."""
    if entry["train_clean"] is None:
        return []
    rows = [["clean", *(_rate_cells(entry[name])[0] for name in ("clean", "train_clean"))]]
    for row in entry["train_attacked"]:
        here = next(each for each in entry["attacks"] if each["epsilon"] == row["epsilon"])
        rates = (here["accuracy"], row["accuracy"])
        rows.append([f"{here['name']}, {here['scales']}", *(_rate_cells(rate)[0] for rate in rates)])
    return rows


def _print_transfer(matrix: Row | None) -> None:
    if matrix is None:
        return
    rows = [
        [name, *(f"{100 * value:.1f} % [{100 * low:.0f}, {100 * high:.0f}]" for value, (low, high) in cells)]
        for name, values, spans in zip(matrix["sources"], matrix["accuracy"], matrix["interval"], strict=True)
        for cells in [list(zip(values, spans, strict=True))]
    ]
    title = f"Transfer of {matrix['attack']}, {matrix['scales']}: accuracy of the columns on samples made of the rows"
    print_table(title, ["made of", *matrix["targets"]], rows)


def print_successes(summaries: Mapping[str, Row]) -> None:
    """The runs of the demo by name: games that learned every mode, with a Wilson interval."""
    rows = []
    for name, summary in summaries.items():
        metrics = summary["metrics"]
        low, high = metrics["success_rate"]["interval"]
        final = metrics["success"]["value"]
        rows.append(
            [
                name,
                f"{sum(final):.0f} of {len(final)}",
                f"{low:.2f} .. {high:.2f}",
                cell(metrics["modes"]["value"]),
                cell(metrics["high_quality"]["value"]),
                f"{summary['seconds']:,.0f}",
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


def _theory_cell(row: TheoryRow) -> str:
    if row.smallest_excess >= 0:
        return f"Theorem {row.theorem}" if row.theorem else "uncovered"
    return f"broken {row.smallest_excess:.2g}"


def _interval(value: Any) -> str:
    if not value:
        return "-"
    pairs = value if isinstance(value[0], list) else [value]
    return " ".join(f"[{low:.2g}, {high:.2g}]" for low, high in pairs)


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
