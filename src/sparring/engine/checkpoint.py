"""A checkpoint: tensors.safetensors, state.json, and manifest.json with their sizes and SHA-256, complete or absent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sparring.errors import CorruptInput, StorageError
from sparring.files import sha256, storage_errors, whole_folder, write_json

FORMAT = 1
_TENSORS, _STATE, _MANIFEST = "tensors.safetensors", "state.json", "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """All tensors of a state by name, and the plain values that go with them."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint folder, in one step.

    Raises:
        StorageError: the disk refused; nothing is left behind.
    """
    with storage_errors(path), whole_folder(path) as folder:
        try:
            save_file(checkpoint.tensors, folder / _TENSORS)
        except SafetensorError as error:
            raise StorageError(
                f"{path}: {error}", "free some space and try again; `sparring resume` continues a run"
            ) from None
        write_json(folder / _STATE, checkpoint.state)
        files = {
            name: {"bytes": (folder / name).stat().st_size, "sha256": sha256(folder / name)}
            for name in (_TENSORS, _STATE)
        }
        write_json(folder / _MANIFEST, {"format": FORMAT, "files": files})


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint folder after checking every byte of it.

    Raises:
        CorruptInput: a file is missing, of another size, damaged, or of a format that is not known.
    """
    remedy = "restore the folder, or remove it to fall back to an earlier checkpoint"
    try:
        manifest = json.loads((path / _MANIFEST).read_bytes())
        if manifest["format"] != FORMAT:
            raise CorruptInput(f"{path}: checkpoint format {manifest['format']!r} is not known", "use another version")
        for name in (_TENSORS, _STATE):
            expected = manifest["files"][name]
            if (path / name).stat().st_size != expected["bytes"]:
                raise CorruptInput(f"{path / name}: {expected['bytes']} bytes expected", remedy)
            if sha256(path / name) != expected["sha256"]:
                raise CorruptInput(f"{path / name}: the content does not match its SHA-256", remedy)
        return Checkpoint(load_file(path / _TENSORS), json.loads((path / _STATE).read_bytes()))
    except FileNotFoundError as error:
        raise CorruptInput(f"{error.filename}: missing from the checkpoint", remedy) from None
    except (ValueError, KeyError, TypeError, SafetensorError) as error:
        raise CorruptInput(f"{path}: not a checkpoint ({error})", remedy) from None
