"""Runs of earlier versions."""

from __future__ import annotations

from pathlib import Path

import corpus

CORPUS = Path(corpus.__file__).parent


def versions() -> list[Path]:
    """The runs of every version that wrote some, oldest first."""
    folders = [path for path in CORPUS.iterdir() if path.is_dir() and path.name[0].isdecimal()]
    return sorted(folders, key=lambda path: [int(part) for part in path.name.split(".")])


def newest() -> Path:
    """The runs of the newest version that wrote some."""
    return versions()[-1]
