"""The log of a run without its times, which differ between equal runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sparring.runs.folder import RunFolder


def untimed_rows(run: Path) -> list[dict[str, Any]]:
    """Every row of the log but for its seconds."""
    rows = RunFolder.open(run).rows()
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
