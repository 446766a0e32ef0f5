"""Tables for people: recipes, pieces with what is numerically true of them, theory, measures, the demo's cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from pydantic import ValidationError

from sparring.cli.terminal import print_table
from sparring.cli.theorems import perturbation_table, theory_table
from sparring.core.errors import UsageError, say
from sparring.core.pieces import FAMILIES, Piece, members
from sparring.core.pieces import summary as first_line
from sparring.core.records import nearest
from sparring.feedback import Perturbation
from sparring.objectives import is_increasing, is_odd
from sparring.recipes import load, parse_piece, recipe_names
from sparring.theory import TheoryRow, perturbation_row

Row = dict[str, Any]


def listed(kind: str) -> tuple[str, list[Row]]:
    """A title and rows for `sparring list KIND`.

    Raises:
        UsageError: there is no such kind.
    """
    kinds: dict[str, Callable[[], list[Row]]] = {"recipes": _recipes, "families": _families}
    kinds |= {_plural(name): lambda name=name: _pieces(name) for name in FAMILIES}  # type: ignore[misc]
    found = kinds.get(kind) or kinds.get(_plural(kind))
    if found is None:
        close = nearest(kind, kinds)
        hint = f"; did you mean {close}?" if close else ""
        raise UsageError(f"{kind!r} is nothing to list{hint}", f"one of: {', '.join(kinds)}")
    return kind, found()


def print_rows(title: str, rows: list[Row]) -> None:
    """Rows with equal keys as a table."""
    columns = list(rows[0]) if rows else []
    print_table(title, columns, [[_cell(row[column]) for column in columns] for row in rows])


def theory() -> Row:
    """Both tables of `sparring theory` as plain values; infinities are strings."""
    games = [{key: _finite(value) for key, value in row._asdict().items()} for row in theory_table()]
    return {"games": games, "perturbations": [row._asdict() for row in perturbation_table()]}


def conditions(perturbation: str) -> list[Row]:
    """Which of Theorem 5's conditions a perturbation, given as in a recipe, satisfies.

    Raises:
        InvalidRecord: there is no such perturbation.
    """
    return [perturbation_row(parse_piece(Perturbation, perturbation))._asdict()]


def print_theory() -> None:
    """The tables of `sparring theory`: adversaries down, objectives across."""
    games = theory_table()
    objectives = list(dict.fromkeys(row.objective for row in games))
    adversaries = list(dict.fromkeys(row.adversary for row in games))
    cells = {(row.adversary, row.objective): _theory_cell(row) for row in games}
    rows = [[name, *(cells[name, objective] for objective in objectives)] for name in adversaries]
    print_table("Is P_G = P_data best for G against the optimal D?", ["adversary", *objectives], rows)
    say("  Theorem 5, 6: it covers the game, and no better P_G was found; uncovered: neither does, and none was found")
    say("  broken: a P_G was found whose V lies below V(P_data) by the number given (--json says which)\n")
    print_rows("Theorem 5's conditions on a perturbation", [row._asdict() for row in perturbation_table()])


def print_metrics(metrics: Mapping[str, Any], title: str) -> None:
    """The metrics of a summary, and below them the protocol of each."""
    rows = [[name, _cell(entry["value"]), _interval(entry["interval"])] for name, entry in metrics.items()]
    print_table(title, ["measure", "value", "95 % interval"], rows)
    for protocol in dict.fromkeys(entry["protocol"] for entry in metrics.values()):
        names = ", ".join(name for name, entry in metrics.items() if entry["protocol"] == protocol)
        say(f"  {names}: {protocol}")


def print_attacks(rows: list[Row]) -> None:
    """How many attacks each D stands, means over the games of a run, and what that means."""

    def cell(row: Row, name: str) -> str:
        found = row["numbers"][name]
        return f"{fmean(found if isinstance(found, list) else [found]):.4g}"

    parts = ("", "_reached", "_overshot")
    names = [f"attacks_{side}{part}" for side in ("fake", "real") for part in parts]
    columns = ["run", "round", "G", "on generated", "got there", "jumped over", "on real", "got there", "jumped over"]
    table = [[row["run"], f"{row['step']:,}", row["generator"], *(cell(row, name) for name in names)] for row in rows]
    print_table("Mean attacks until D takes one side for the other, and shares of samples", columns, table)
    for protocol in dict.fromkeys(row["protocol"] for row in rows):
        say(f"  G {next(row['generator'] for row in rows if row['protocol'] == protocol)}: {protocol}")


def print_robustness(target: str, found: Row) -> None:
    """How every subject stands attacks: every attack, the worst cases, the gap, the battery; a headline, or flags."""
    for entry in found["subjects"]:
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
        print_table("Gap to as many training samples", ["", "these", "training"], _gap_rows(entry))
        _print_transfer(entry["transfer"])
        checks = [
            [check["check"], {True: "yes", False: "FLAG", None: "-"}[check["holds"]], check["detail"]]
            for check in entry["battery"]
        ]
        print_table("Battery", ["check", "holds", "detail"], checks)
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
    """Accuracy here and on training samples, clean and under the main attack at every size."""
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
    """Runs of packed games by name: successes out of seeds with their interval, whatever they are."""
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
                _cell(metrics["modes"]["value"]),
                _cell(metrics["high_quality"]["value"]),
                f"{summary['seconds']:,.0f}",
            ]
        )
    columns = ["run", "learned all modes", "95 % interval", "modes covered", "high quality", "seconds"]
    print_table("Final round, every game", columns, rows)


def print_store(path: Path, facts: Row) -> None:
    """What `data inspect` says."""
    rows = [[key, _cell(value)] for key, value in facts.items() if key != "splits"]
    print_table(str(path), ["fact", "value"], rows)
    for name, split in facts["splits"].items():
        print_table(name, ["fact", "value"], [[key, _cell(value)] for key, value in split.items()])


def _theory_cell(row: TheoryRow) -> str:
    if row.smallest_excess >= 0:
        return f"Theorem {row.theorem}" if row.theorem else "uncovered"
    return f"broken {row.smallest_excess:.2g}"


def _finite(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _interval(value: Any) -> str:
    if not value:
        return "-"
    pairs = value if isinstance(value[0], list) else [value]
    return " ".join(f"[{low:.2g}, {high:.2g}]" for low, high in pairs)


def _recipes() -> list[Row]:
    return [{"recipe": name, "description": load(name).description} for name in recipe_names()]


def _families() -> list[Row]:
    return [
        {"family": _plural(name), "members": ", ".join(members(family)), "what": first_line(family)}
        for name, family in FAMILIES.items()
    ]


def _pieces(family: str) -> list[Row]:
    extra = _COLUMNS.get(family, _no_columns)
    return [
        {"name": name, "keys": _keys(cls)} | extra(cls) | {"what": first_line(cls)}
        for name, cls in members(FAMILIES[family]).items()
    ]


def _keys(cls: type[Piece]) -> str:
    shown = []
    for key, field in cls.model_fields.items():
        default = "" if field.is_required() else f"={_cell(field.get_default())}"
        shown.append(f"{key}{default}")
    return " ".join(shown)


def _no_columns(_cls: type[Any]) -> Row:
    return {}


def _objective_columns(cls: type[Any]) -> Row:
    try:
        objective = cls()
    except ValidationError:
        return {"f_D odd": "-", "f_G odd": "-", "f_D increasing": "-"}
    return {
        "f_D odd": is_odd(objective.real),
        "f_G odd": is_odd(objective.generator),
        "f_D increasing": is_increasing(objective.real),
    }


def _perturbation_columns(cls: type[Any]) -> Row:
    rows = {row.name.split("(")[0].split(":")[0].strip(): row for row in perturbation_table()}
    row = rows.get(cls.name)
    return {"condition 1": row.first if row else "-", "condition 2": row.second if row else "-"}


_COLUMNS: dict[str, Callable[[type[Any]], Row]] = {
    "objective": _objective_columns,
    "perturbation": _perturbation_columns,
}


_PLURALS = {
    "class_loss": "class_losses",
    "criterion": "criteria",
    "data": "data",
    "delivery": "deliveries",
    "feedback": "feedback",
    "lipschitz": "lipschitz",
}


def _plural(family: str) -> str:
    return _PLURALS.get(family, f"{family}s")


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return " ".join(_cell(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_cell(item)}" for key, item in value.items())
    if isinstance(value, Piece):
        return value.name
    return "-" if value is None else str(value)
