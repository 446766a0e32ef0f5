"""A checkpoint: tensors.safetensors, state.json, and manifest.json with their sizes and SHA-256; complete or absent."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors.torch import save
from torch import Tensor

from sparring.core.errors import CorruptInput
from sparring.core.files import json_bytes, json_mapping, read_file, read_json, storage_errors, whole_folder
from sparring.core.records import Bytes, Count, NonNegative, Record, problems_in
from sparring.core.shapes import Space
from sparring.runs.tensors import tensors_in

FORMAT = 2
"""Since 2, state.json names the recipe and the log that it belongs to."""
TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """All tensors of a state by name, and the plain values that go with them."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]


class CheckpointProgress(Record):
    """state.json of a run's checkpoint: how far the run was, and which run it is.

    Args:
        step: rounds trained.
        seconds: time spent on them.
        threads: CPU threads of each process.
        processes: processes that trained together.
        space: of the samples.
        recipe_sha256: of the run's recipe.yaml.
        log_bytes, log_sha256: of metrics.jsonl then.
    """

    step: Count
    seconds: NonNegative
    threads: Count
    processes: Count = 1
    space: Space
    recipe_sha256: str
    log_bytes: Bytes
    log_sha256: str


@dataclass(frozen=True)
class SavedRun:
    """A sound checkpoint of a run.

    Args:
        folder: of the checkpoint.
        tensors: by name.
        progress: how far the run was.
    """

    folder: Path
    tensors: dict[str, Tensor]
    progress: CheckpointProgress

    @contextmanager
    def named_in_errors(self) -> Iterator[None]:
        """Name the file of tensors in an error that some of them do not fit."""
        try:
            yield
        except CorruptInput as error:
            raise CorruptInput(f"{self.folder / TENSORS}: {error.cause}", error.remedy) from None

    @classmethod
    def read(cls, folder: Path) -> SavedRun:
        """The checkpoint in a folder.

        Raises:
            CorruptInput: it is damaged, or of something else than a run.
            StorageError: it cannot be read.
        """
        checkpoint = read_checkpoint(folder)
        try:
            progress = CheckpointProgress.model_validate(checkpoint.state, strict=False)  # JSON has lists for tuples
        except ValidationError as error:
            problem = problems_in(error, CheckpointProgress.model_fields)[0]
            raise CorruptInput(f"{folder / STATE}: {problem}", "restore the folder") from None
        return cls(folder, checkpoint.tensors, progress)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint folder in one step. For a moment this takes twice the tensors' memory.

    Raises:
        StorageError: the disk refused; nothing is left behind.
    """
    contents = {TENSORS: save(checkpoint.tensors), STATE: json_bytes(checkpoint.state)}
    with storage_errors(path), whole_folder(path) as folder:
        for name, data in contents.items():
            (folder / name).write_bytes(data)
        (folder / MANIFEST).write_bytes(json_bytes({"format": FORMAT, "files": _facts(contents)}))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint folder and check every byte of it.

    Raises:
        CorruptInput: a file is missing or damaged, or the format is not known.
        StorageError: a file cannot be read.
    """
    contents = {name: read_file(path / name) for name in (TENSORS, STATE)}
    _require_sound(path, contents)
    tensors = tensors_in(contents[TENSORS], str(path / TENSORS))
    return Checkpoint(tensors, json_mapping(contents[STATE], str(path / STATE)))


def _require_sound(path: Path, contents: dict[str, bytes]) -> None:
    """Compare the files of a checkpoint folder with its manifest."""
    manifest, facts = read_json(path / MANIFEST), _facts(contents)
    if manifest.get("format") != FORMAT:
        message = f"checkpoint format {manifest.get('format')!r}; this version reads format {FORMAT}"
        raise CorruptInput(f"{path / MANIFEST}: {message}", "use the version of sparring that wrote it")
    listed = manifest.get("files")
    if listed != facts:
        names = [name for name in facts if isinstance(listed, dict) and listed.get(name) != facts[name]]
        raise CorruptInput(
            f"{path / (names or [MANIFEST])[0]}: damaged; sizes and SHA-256 do not match {MANIFEST}",
            "restore the folder, or remove it to fall back to an earlier checkpoint",
        )


def _facts(contents: dict[str, bytes]) -> dict[str, dict[str, Any]]:
    """The size and hash of every file, as the manifest has them."""
    return {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in contents.items()}
