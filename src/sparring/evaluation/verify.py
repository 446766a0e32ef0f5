"""Checksums of a run or of a prepared store."""

from __future__ import annotations

from pathlib import Path

from sparring.data import is_store
from sparring.data import verify as verify_store
from sparring.runs.folder import RunFolder


def verify(path: Path) -> list[str]:
    """Check every checksum of a run's checkpoints and the rows of its log, or of a prepared store.

    Returns:
        The files and folders that are intact.

    Raises:
        UsageError: neither a run nor a store.
        CorruptInput: names what is damaged.
    """
    if is_store(path):
        return [str(path / split) for split in verify_store(path).splits]
    run = RunFolder.open(path)
    run.recipe()
    intact = [f"{run.rows_path} ({len(run.rows())} rows)"]
    for folder in run.saved():
        run.read(folder)
        intact.append(str(folder))
    return intact
