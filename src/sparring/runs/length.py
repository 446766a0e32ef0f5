"""The length of a run: recipe.yaml has the rounds that are planned, environment.json those that were planned before.

A checkpoint belongs to the recipe under which it was saved, which may differ from the present one in `steps` alone.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from sparring.core.errors import CorruptInput
from sparring.core.files import read_file, read_json, storage_errors, write_json, write_whole
from sparring.core.records import Count, Every, Record
from sparring.runs.trust import trust_as

EARLIER = "earlier_lengths"
"""The key of environment.json with the lengths that the run once had, oldest first."""
_STEPS = re.compile(r"^steps: [0-9]+$", re.MULTILINE)


class EarlierLength(Record):
    """A length that a run had.

    Args:
        steps: rounds that were planned.
        trained: rounds that were trained when this changed.
        followed_by: keys of the recipe whose meaning in those rounds depended on `steps`.
    """

    steps: Count
    trained: Every
    followed_by: Annotated[tuple[str, ...], Field(strict=False)] = ()


def require_recipe(run: Path, sha256: str, checkpoint: Path) -> None:
    """Refuse a checkpoint of another recipe than that of its run.

    Args:
        run: the run folder.
        sha256: of the recipe under which the checkpoint was saved.
        checkpoint: its folder.

    Raises:
        CorruptInput: the recipe is another one, in more than a length that the run once had.
    """
    text = read_file(run / "recipe.yaml")
    if sha256 != _digest(text) and sha256 not in _earlier_digests(run, text):
        raise CorruptInput(
            f"{checkpoint}: saved under another recipe than {run / 'recipe.yaml'}",
            "restore the file, or the checkpoint",
        )


def set_length(run: Path, steps: int, earlier: EarlierLength) -> None:
    """Change the rounds that are planned. A process that is killed within leaves the old length or the new one.

    Args:
        run: the run folder, which this process owns.
        steps: the new length.
        earlier: the length so far.

    Raises:
        StorageError: the disk refused.
    """
    environment = _environment(run)
    lengths = [*environment.get(EARLIER, ()), earlier.model_dump(mode="json")]
    made = os.stat(run / "environment.json").st_mtime_ns  # by which loggers know the run
    write_json(run / "environment.json", environment | {EARLIER: lengths})
    with storage_errors(run):
        os.utime(run / "environment.json", ns=(made, made))
    text = read_file(run / "recipe.yaml").decode()
    longer = _STEPS.sub(f"steps: {steps}", text)
    trust_as(longer, text)
    write_whole(run / "recipe.yaml", longer.encode())


def _earlier_digests(run: Path, text: bytes) -> set[str]:
    path = str(run / "environment.json")
    listed = _environment(run).get(EARLIER, ())
    lengths = [EarlierLength.validated(each, path, "restore the file").steps for each in listed]
    return {_digest(_STEPS.sub(f"steps: {steps}", text.decode()).encode()) for steps in lengths}


def _environment(run: Path) -> dict[str, Any]:
    path = run / "environment.json"
    return read_json(path) if path.exists() else {}


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
