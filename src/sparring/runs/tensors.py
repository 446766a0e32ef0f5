"""Tensors by name as the bytes of a safetensors file, and back: nothing in such a file can run."""

from __future__ import annotations

from collections.abc import Mapping

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from sparring.core.errors import CorruptInput, printable
from sparring.core.strict import mapping_in

_LARGEST_HEADER = 16 << 20
_FACTS = {"dtype", "shape", "data_offsets"}
_REFUSED = (SafetensorError, LookupError, TypeError, ValueError, OverflowError, RuntimeError, MemoryError)
"""What the reader raises about a header that does not fit the bytes behind it."""


def packed(tensors: Mapping[str, Tensor]) -> bytes:
    """The bytes of a safetensors file."""
    return save(dict(tensors))


def unpacked(data: bytes, what: str) -> dict[str, Tensor]:
    """The tensors in the bytes of a safetensors file; takes no more memory than twice the bytes.

    Args:
        data: the whole file.
        what: it is called in errors.

    Raises:
        CorruptInput: the header is too long, not strict JSON, or does not describe the bytes behind it exactly.
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(len(data) - 8, _LARGEST_HEADER):
        raise CorruptInput(f"{what}: not a safetensors file", "restore the file")
    header = mapping_in(data[8 : 8 + length], f"{what}, header")  # the reader would take the last of two equal names
    for name, facts in header.items():
        if name != "__metadata__" and not (isinstance(facts, dict) and facts.keys() == _FACTS):
            told = f"{what}: {printable(repr(name), 100)} is described by other keys than {', '.join(sorted(_FACTS))}"
            raise CorruptInput(told, "restore the file")
    try:
        return load(data)
    except _REFUSED as error:
        told = f"{what}: not a safetensors file ({printable(str(error))})"
        raise CorruptInput(told, "restore the file") from None
