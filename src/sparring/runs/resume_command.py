"""The command that continues a run or a sweep, for messages."""

from __future__ import annotations

import shlex
from pathlib import Path


def resume_command(path: Path, processes: int = 1) -> str:
    """What to type, between backticks.

    Args:
        path: the folder.
        processes: that train a run together.
    """
    start = f"torchrun --nproc-per-node {processes} -m sparring" if processes > 1 else "sparring"
    return f"`{start} resume {shlex.quote(str(path))}`"
