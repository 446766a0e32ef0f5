"""A checkpoint: tensors.safetensors, state.json, and manifest.json with their sizes and SHA-256, complete or absent.

The hashes are of what should be on the disk, taken before it is written. A checkpoint counts only once it has been read
back, so that who writes one may remove another.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from torch import Tensor

from sparring.core.errors import CorruptInput, StorageError, printable
from sparring.core.files import remove_whole, storage_errors, whole_folder, write_synced
from sparring.core.records import Bytes, Record, problems_in
from sparring.core.strict import LARGEST, mapping_in, plain_file, read_plain
from sparring.runs.tensors import packed, unpacked

FORMAT = 2
"""Since 2, state.json names the recipe and the log that it belongs to."""
TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
_REMEDY = "restore the folder, or remove it to fall back to an earlier checkpoint"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True)
class Checkpoint:
    """All tensors of a state by name, and the plain values that go with them."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]


class FileFacts(Record):
    """The size and hash of a file."""

    bytes: Bytes
    sha256: Sha256


class Files(Record):
    """The files of a checkpoint beside its manifest."""

    tensors: FileFacts = Field(alias=TENSORS)
    state: FileFacts = Field(alias=STATE)

    def by_name(self) -> dict[str, FileFacts]:
        """The facts by file name."""
        return {TENSORS: self.tensors, STATE: self.state}


class Manifest(Record):
    """manifest.json."""

    format: Literal[2]
    files: Files


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint folder in one step, and read it back.

    Takes, for the moment, memory of twice the tensors' size.

    Raises:
        StorageError: the disk refused, or does not hold what was written; nothing is left behind.
    """
    contents = {TENSORS: packed(checkpoint.tensors), STATE: _json(checkpoint.state)}
    facts = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in contents.items()}
    with storage_errors(path):
        with whole_folder(path) as folder:
            for name, data in contents.items():
                write_synced(folder / name, data)
            write_synced(folder / MANIFEST, _json({"format": FORMAT, "files": facts}))
        try:
            require_sound(path)
        except (CorruptInput, OSError) as error:
            remove_whole(path)
            told = error if isinstance(error, CorruptInput) else f"{path}: {error.strerror or error}"
            raise StorageError(f"{told}; it was written a moment ago", "check the device, then try again") from None


def require_sound(path: Path) -> None:
    """Check every byte of a checkpoint folder.

    Raises:
        CorruptInput: a file is missing, of another size, damaged, or of a format that is not known.
        OSError: a file cannot be read.
    """
    for name, facts in _manifest(path).files.by_name().items():
        with plain_file(path / name) as file:
            _require(path / name, facts, hashlib.file_digest(file, "sha256").hexdigest(), file.tell())


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint folder after checking every byte of it.

    Raises:
        CorruptInput: a file is missing, of another size, damaged, or of a format that is not known.
        StorageError: a file cannot be read.
    """
    with storage_errors(path):
        contents = {}
        for name, facts in _manifest(path).files.by_name().items():
            data = contents[name] = read_plain(path / name, facts.bytes)
            _require(path / name, facts, hashlib.sha256(data).hexdigest(), len(data))
    state = mapping_in(contents[STATE], str(path / STATE))
    return Checkpoint(unpacked(contents[TENSORS], str(path / TENSORS)), state)


def _manifest(path: Path) -> Manifest:
    if path.is_symlink() or not path.is_dir():
        raise CorruptInput(f"{path}: not a folder", _REMEDY)
    content = read_plain(path / MANIFEST, LARGEST)
    found = mapping_in(content, str(path / MANIFEST))
    if found.get("format") != FORMAT:
        told = f"checkpoint format {printable(repr(found.get('format')))}, and this version reads {FORMAT} alone"
        raise CorruptInput(f"{path / MANIFEST}: {told}", "use the version of sparring that wrote it")
    if content != _json(found):
        raise CorruptInput(f"{path / MANIFEST}: not as it was written", _REMEDY)
    try:
        return Manifest.model_validate(found)
    except ValidationError as error:
        problem = printable(str(problems_in(error)[0]))
        raise CorruptInput(f"{path / MANIFEST}: {problem}", _REMEDY) from None


def _require(path: Path, facts: FileFacts, sha256: str, size: int) -> None:
    if size != facts.bytes:
        raise CorruptInput(f"{path}: {size:,} bytes, where {facts.bytes:,} were written", _REMEDY)
    if sha256 != facts.sha256:
        raise CorruptInput(f"{path}: the content does not match its SHA-256", _REMEDY)


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
