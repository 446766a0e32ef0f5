"""summary.json: the numbers that a run ends with, each with its interval and protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sparring.core.intervals import wilson
from sparring.monitoring.generator_metrics import Measures
from sparring.runs.schema import MetricValue

Row = dict[str, Any]


def summarise(rows: list[Row], measures: Measures) -> dict[str, MetricValue]:
    """Final values of every measured number, the share of successful games, and the rounds to the first success.

    Args:
        rows: the log.
        measures: what measured them.

    Returns:
        Each number by name, with an interval where it is a proportion.
    """
    evaluated = [row for row in rows if measures.names() <= row.keys()]
    return final_numbers(evaluated[-1], measures) | _over_time(evaluated) if evaluated else {}


def final_numbers(row: Row, measures: Measures) -> dict[str, MetricValue]:
    """The numbers of one measurement, in the same form."""
    protocols = measures.protocols()
    metrics = {
        name: _entry(
            row[name],
            _each(row[name], lambda share: _share_interval(share, measures.samples)) if name in metric.shares else None,
            protocols[metric.name],
        )
        for metric in measures.metrics
        for name in metric.names
    }
    if "success" in row:
        wins = _as_list(row["success"])
        metrics["success_rate"] = _rate(int(sum(wins)), len(wins), "games that are a success at this measurement")
    return metrics


def last_noted(rows: list[Row], protocols: Mapping[str, str]) -> dict[str, MetricValue]:
    """The last values of other numbers of the log, with what each of them is."""
    noted = [row for row in rows if protocols.keys() <= row.keys()]
    return {name: _entry(noted[-1][name], None, protocol) for name, protocol in protocols.items()} if noted else {}


def _over_time(evaluated: list[Row]) -> dict[str, MetricValue]:
    if "success" not in evaluated[-1]:
        return {}
    games = range(len(_as_list(evaluated[-1]["success"])))
    firsts = [next((row["step"] for row in evaluated if _as_list(row["success"])[game]), None) for game in games]
    ever = sum(first is not None for first in firsts)
    return {
        "ever_success_rate": _rate(ever, len(firsts), "games that were a success at any measurement"),
        "steps_to_success": _entry(
            firsts if len(firsts) > 1 else firsts[0], None, "round of the first success; nothing where there was none"
        ),
    }


def _rate(wins: int, games: int, protocol: str) -> MetricValue:
    return _entry(wins / games, wilson(wins, games), protocol)


def _entry(value: Any, interval: Any, protocol: str) -> MetricValue:
    return MetricValue(value=value, interval=interval, protocol=protocol)


def _share_interval(value: float, samples: int) -> tuple[float, float]:
    return wilson(round(value * samples), samples)


def _each(value: Any, function: Any) -> Any:
    return [function(item) for item in value] if isinstance(value, list) else function(value)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
