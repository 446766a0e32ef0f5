"""The axis of a measure: its name, its unit and its limits, from the table of metrics where it is one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparring.claims.values import Label
from sparring.core.intervals import percent
from sparring.report.format import number
from sparring.report.metric_info import METRICS, SUCCESS

_RATES = {SUCCESS: "success_rate"}
"""The metric that the mean of another one is."""


@dataclass(frozen=True)
class ValueAxis:
    """How the values of a measure are drawn.

    Args:
        title: of the measure.
        label: of the axis, with the unit.
        scale: factor from a value to what is drawn.
        low, high: ends of its range, unscaled; None where it has none.
    """

    title: str
    label: str
    scale: float = 1.0
    low: float | None = None
    high: float | None = None

    def text(self, value: float) -> str:
        """A value as text: shares in percent."""
        return percent(value, 0) if self.scale == 100 else number(value)

    def printed(self, value: float) -> str:
        """A number in print with all of its digits."""
        text = f"{self.scale * value:.8g}".replace("-", "−")
        return f"{text} %" if self.scale == 100 else text


def value_axis(measure: str, unit: str = "") -> ValueAxis:
    """The axis of a measure.

    Args:
        measure: its name in the entry; a metric's name finds the metric's title and unit.
        unit: label of the axis in place of the metric's.
    """
    info = METRICS.get(_RATES.get(measure, measure))
    if info is None:
        return ValueAxis(words(measure), unit or words(measure))
    label = info.unit or f"{info.title}{' (%)' if info.is_share else ''}"
    return ValueAxis(info.title, unit or label, info.scale, info.lowest, 1.0 if info.is_share else None)


def words(name: object) -> str:
    """A name or label as it is drawn: the last part of a dotted key, without underscores."""
    text = str(name)
    if _as_number(text) is None:
        text = text.rsplit(".", 1)[-1].replace("_", " ")
    return text


def in_order(labels: Sequence[Label]) -> tuple[Label, ...]:
    """Labels in the order of an axis: numbers from the least on, then words in the order given."""
    numbers = [(value, label) for label in labels if (value := _as_number(str(label))) is not None]
    others = [label for label in labels if _as_number(str(label)) is None]
    return (*(label for _, label in sorted(numbers, key=lambda pair: pair[0])), *others)


def setting(axis: str, label: object) -> str:
    """A label as a title or in a legend; a number or `none` with its axis: `p = 0.4`, `clip = none`, but `linear`."""
    needs_axis = label == "none" or _as_number(str(label)) is not None
    return f"{words(axis)} = {words(label)}" if needs_axis else words(label)


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
