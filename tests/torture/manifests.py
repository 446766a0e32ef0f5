"""A manifest as the library writes it, of files as they are: what a stranger would make of files that they changed."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

from sparring.runs.checkpoint import MANIFEST, STATE, TENSORS


def as_written(values: dict[str, Any]) -> str:
    """The text of a manifest."""
    return json.dumps(values, indent=2) + "\n"


def rehash(folder: Path) -> None:
    """Give a checkpoint the sizes and hashes of its files as they are; other keys stay, and a damaged one as it is."""
    path = folder / MANIFEST
    said = path.read_text()
    manifest = json.loads(said)
    if as_written(manifest) != said:
        return
    for name in (TENSORS, STATE):
        content = (folder / name).read_bytes()
        manifest["files"][name] = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
    path.write_text(as_written(manifest))
