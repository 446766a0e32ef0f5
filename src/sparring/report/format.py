"""Numbers, times, recipe values and pieces as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sparring.core.intervals import percent
from sparring.core.pieces import Piece
from sparring.networks.initial import ArchitectureInit

NONE = "–"
"""Shown where there is no number."""


def number(value: float | int | None) -> str:
    """A number with thousands separators, or with three significant digits."""
    if value is None or value != value:
        return NONE
    if value in (float("inf"), float("-inf")):
        return "∞" if value > 0 else "−∞"
    text = f"{value:,.0f}" if value == int(value) or abs(value) >= 999.5 else f"{value:.3g}"
    return text.replace("-", "−")


def share_interval(bounds: tuple[float, float] | None) -> str:
    """An interval of shares: `[9 %, 91 %]`; nothing without one."""
    return f"[{percent(bounds[0], 0)}, {percent(bounds[1], 0)}]" if bounds else ""


def duration(seconds: float | int | None) -> str:
    """Seconds as hours, minutes and seconds."""
    if seconds is None:
        return NONE
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours:,} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.3g} s"


def counted(count: int, noun: str) -> str:
    """A count with its noun: `1 game`, `3 games`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def uncapitalised(title: str) -> str:
    """A title as it is written inside a sentence."""
    return f"{title[:1].lower()}{title[1:]}"


def plain(value: Any) -> str:
    """A value of a recipe: strings without quotes, numbers to six digits."""
    if value is None:
        return NONE
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings, and lists of mappings, as one mapping with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            value = {str(index): item for index, item in enumerate(value)}
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat


def piece(part: Piece) -> str:
    """A piece with its settings: `ring (modes 8, radius 2, std 0.1)`."""
    settings = {key: value for key, value in part.model_dump(mode="json").items() if key != "name"}
    flat = {key.removesuffix(".name"): value for key, value in flatten(settings).items()}
    if flat.get("init") == ArchitectureInit.name:
        del flat["init"]  # the usual one
    inner = ", ".join(f"{key} {_setting(value)}" for key, value in flat.items() if value not in ([], "", None))
    return f"{part.name} ({inner})" if inner else part.name


def _setting(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else plain(value)
