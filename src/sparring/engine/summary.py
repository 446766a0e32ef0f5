"""summary.json: the numbers that a run ends with, each with its interval and protocol."""

from __future__ import annotations

from typing import Any

from sparring.engine.measuring import SAMPLES, Measures
from sparring.intervals import wilson

Row = dict[str, Any]


def summarise(rows: list[Row], measures: Measures) -> dict[str, Any]:
    """Final values of every measured number, the share of successful games, and the steps to the first success.

    Args:
        rows: the log.
        measures: what measured them.

    Returns:
        NAME: {"value", "interval", "protocol"}; a list of values and intervals with replicas; no interval where a
        number is not a proportion.
    """
    evaluated = [row for row in rows if measures.names() <= row.keys()]
    if not evaluated:
        return {}
    final = evaluated[-1]
    metrics: dict[str, Any] = {}
    for metric in measures.metrics:
        for name in metric.names:
            value = final[name]
            interval = _each(value, _share_interval) if name in metric.shares else None
            metrics[name] = _entry(value, interval, measures.protocols()[metric.name])
    if "success" in final:
        metrics |= _successes(evaluated)
    return metrics


def _successes(evaluated: list[Row]) -> dict[str, Any]:
    final = _as_list(evaluated[-1]["success"])
    wins = int(sum(final))
    rate = _entry(
        wins / len(final),
        list(wilson(wins, len(final))),
        f"successes at the last measurement, out of {len(final)}",
    )
    firsts: list[int | None] = []
    for game in range(len(final)):
        firsts.append(next((row["step"] for row in evaluated if _as_list(row["success"])[game]), None))
    ever = sum(first is not None for first in firsts)
    every = "first measurement with success; null without one"
    return {
        "success_rate": rate,
        "ever_success_rate": _entry(
            ever / len(final), list(wilson(ever, len(final))), "games with any successful measurement"
        ),
        "steps_to_success": _entry(firsts if len(firsts) > 1 else firsts[0], None, every),
    }


def _entry(value: Any, interval: Any, protocol: str) -> dict[str, Any]:
    return {"value": value, "interval": interval, "protocol": protocol}


def _share_interval(value: float) -> list[float]:
    return list(wilson(round(value * SAMPLES), SAMPLES))


def _each(value: Any, function: Any) -> Any:
    return [function(item) for item in value] if isinstance(value, list) else function(value)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
