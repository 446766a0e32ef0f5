"""A run that ended before its first checkpoint: nothing of its training is left, so its folder is begun anew."""

from __future__ import annotations

import re
from pathlib import Path

from sparring.core.errors import UsageError
from sparring.core.files import PREFIX, remove_whole, storage_errors, sweep_partial

_STEP = r"[0-9]{9,}"
_FILES = re.compile(
    rf"\.lock|recipe\.yaml|environment\.json|metrics\.jsonl|summary\.json|report\.html|{re.escape(PREFIX)}.+"
    rf"|samples/{_STEP}(\.live)?\.png|samples/{_STEP}\.npz|probes/{_STEP}\.npz|tb/events\.out\.tfevents\..+\.sparring"
    rf"|(samples|probes|checkpoints)/{re.escape(PREFIX)}.+"  # of a folder, all that is below
)
"""Every file that a run has written before its first checkpoint, relative to its folder."""
_OUTCOMES = ("summary.json", "report.html", "samples", "probes", "tb")


def require_aborted(path: Path) -> None:
    """Refuse a run that has a checkpoint, and a folder that holds anything else than a run.

    Raises:
        UsageError: says which.
        StorageError: the folder cannot be read.
    """
    with storage_errors(path):
        names = sorted(entry.relative_to(path).as_posix() for entry in path.rglob("*") if not _is_folder(entry))
    if any(re.match(rf"checkpoints/{_STEP}/", name) for name in names):
        raise UsageError(f"{path}: holds a run already", "`sparring resume` it, or choose another --out")
    other = next((name for name in names if not _FILES.fullmatch(name)), "")
    if other:
        raise UsageError(
            f"{path}: holds a run without a checkpoint, and {other}, which is not of a run",
            "move that file away, or choose another --out",
        )


def clear(path: Path) -> None:
    """Remove what an aborted run has written since it began. Only the owner of the folder may call it.

    Raises:
        UsageError: it is not the folder of an aborted run.
        StorageError: the disk refused.
    """
    require_aborted(path)
    with storage_errors(path):
        for name in _OUTCOMES:
            if (path / name).exists():
                remove_whole(path / name)
        (path / "metrics.jsonl").write_bytes(b"")
        for folder in (path / "samples", path / "checkpoints"):
            folder.mkdir(exist_ok=True)
    for folder in (path, path / "checkpoints"):
        sweep_partial(folder)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
