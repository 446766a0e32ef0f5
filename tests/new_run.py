"""A run folder without a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sparring.recipes import AnyRecipe
from sparring.runs.folder import RunFolder


def new_run(path: Path, recipe: AnyRecipe, environment: dict[str, Any] | None = None) -> RunFolder:
    """A new run folder that no process owns."""
    with RunFolder.created(path, recipe, environment or {}) as run:
        return run
