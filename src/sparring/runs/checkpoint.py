"""A checkpoint: tensors.safetensors, state.json, and manifest.json with their sizes and SHA-256; complete or absent.

The hashes are of what should be on the disk, taken before it is written. A checkpoint counts once it has been read
back, so that an older one may then be removed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from safetensors.torch import save
from torch import Tensor

from sparring.core.errors import CorruptInput, StorageError
from sparring.core.files import (
    json_bytes,
    json_mapping,
    missing_is_corrupt,
    read_file,
    read_json,
    remove_whole,
    sha256,
    storage_errors,
    whole_folder,
    write_synced,
)
from sparring.core.records import Bytes, Count, NonNegative, Record, problems_in
from sparring.core.shapes import Space
from sparring.runs.tensors import tensors_in

FORMAT = 2
"""Since 2, state.json names the recipe and the log that it belongs to."""
TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
_REMEDY = "restore the folder, or remove it to fall back to an earlier checkpoint"


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

    @classmethod
    def of(cls, checkpoint: Checkpoint, folder: Path) -> CheckpointProgress:
        """The progress in the state of a checkpoint.

        Raises:
            CorruptInput: the state is something else.
        """
        try:
            return cls.model_validate(checkpoint.state, strict=False)  # JSON has lists for tuples
        except ValidationError as error:
            problem = problems_in(error, cls.model_fields)[0]
            raise CorruptInput(f"{folder / STATE}: {problem}", "restore the folder") from None


@dataclass(frozen=True)
class SavedRun:
    """A sound checkpoint that belongs to its run.

    Args:
        folder: of the checkpoint.
        tensors: by name.
        progress: how far the run was.
    """

    folder: Path
    tensors: dict[str, Tensor]
    progress: CheckpointProgress

    @property
    def file(self) -> Path:
        """The file of the tensors."""
        return self.folder / TENSORS


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint folder in one step, and read it back. For a moment this takes twice the tensors' memory.

    Raises:
        StorageError: the disk refused, or does not hold what was written; nothing is left behind.
    """
    contents = {TENSORS: save(checkpoint.tensors), STATE: json_bytes(checkpoint.state)}
    facts = {name: _facts(len(data), hashlib.sha256(data).hexdigest()) for name, data in contents.items()}
    with storage_errors(path):
        with whole_folder(path) as folder:
            for name, data in contents.items():
                write_synced(folder / name, data)
            write_synced(folder / MANIFEST, _manifest(facts))
        try:
            require_sound(path)
        except (CorruptInput, StorageError) as error:
            remove_whole(path)
            message = f"{error.cause}; it was written a moment ago"
            raise StorageError(message, "check the device, then try again") from None


def require_sound(path: Path) -> None:
    """Check every byte of a checkpoint folder.

    Raises:
        CorruptInput: a file is missing or damaged, or the format is not known.
        StorageError: a file cannot be read.
    """
    manifest = read_json(path / MANIFEST)
    if manifest.get("format") != FORMAT:
        message = f"checkpoint format {manifest.get('format')!r}; this version reads format {FORMAT}"
        raise CorruptInput(f"{path / MANIFEST}: {message}", "use the version of sparring that wrote it")
    with storage_errors(path), missing_is_corrupt():
        files = {name: path / name for name in (TENSORS, STATE)}
        facts = {name: _facts(file.stat().st_size, sha256(file)) for name, file in files.items()}
    if read_file(path / MANIFEST) == _manifest(facts):
        return
    listed = manifest.get("files")
    damaged = next((name for name in facts if isinstance(listed, dict) and listed.get(name) != facts[name]), MANIFEST)
    raise CorruptInput(f"{path / damaged}: damaged; sizes and SHA-256 do not match {MANIFEST}", _REMEDY)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint folder after checking every byte of it.

    Raises:
        CorruptInput: a file is missing or damaged, or the format is not known.
        StorageError: a file cannot be read.
    """
    require_sound(path)
    tensors = tensors_in(read_file(path / TENSORS), str(path / TENSORS))
    return Checkpoint(tensors, json_mapping(read_file(path / STATE), str(path / STATE)))


def _facts(size: int, digest: str) -> dict[str, Any]:
    return {"bytes": size, "sha256": digest}


def _manifest(facts: dict[str, dict[str, Any]]) -> bytes:
    return json_bytes({"format": FORMAT, "files": facts})
