"""The table of charts over rounds, charts.yaml, as records."""

from __future__ import annotations

from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CurveSpec(_Row):
    """One logged number.

    Args:
        metric: its name in the log.
        colour, label, dash: of the curve.
        scale: factor from logged to drawn values.
        minus: name of a number that is subtracted.
        needs: name of a number without which the curve is not drawn.
    """

    metric: str
    colour: Literal["blue", "vermillion", "green", "purple", "ink", "grey"]
    label: str
    dash: str = "-"
    scale: float = 1.0
    minus: str = ""
    needs: str = ""


class ChartSpec(_Row):
    """One chart.

    Args:
        key: short and unique.
        title, caption, unit: of the chart.
        curves: what it draws.
        limits: of the value axis.
        is_log: a logarithmic value axis.
        marks: names of horizontal lines.
        hides_zeros: leave out curves that are zero throughout.
        lowest: smaller values are drawn here.
    """

    key: str
    title: str
    caption: str
    unit: str
    curves: tuple[CurveSpec, ...]
    limits: tuple[float | None, float | None] = (None, None)
    is_log: bool = False
    marks: tuple[str, ...] = ()
    hides_zeros: bool = False
    lowest: float | None = None


def load_table(name: str) -> dict[str, list[dict[str, Any]]]:
    """The groups of rows of a table in this folder."""
    table: dict[str, list[dict[str, Any]]] = yaml.safe_load(
        resources.files("sparring.report").joinpath(name).read_text(encoding="utf-8")
    )
    return table


CHARTS = {
    group: tuple(ChartSpec.model_validate(row) for row in rows) for group, rows in load_table("charts.yaml").items()
}
_LOGGED = {curve.metric for group in CHARTS.values() for spec in group for curve in spec.curves}
_LOGGED |= {"score_fake", "score_real_adversarial", "score_fake_adversarial"}  # not drawn


def is_of_training(name: str) -> bool:
    """Whether a logged number is of the training rounds, or of the checks for collapse, and no metric."""
    return name in _LOGGED or name.startswith("collapse_")
