"""Weights of a user's network from a file: safetensors, or what `torch.save` wrote, of which tensors alone are read."""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sparring.core.errors import CorruptInput, UsageError
from sparring.core.files import read_file
from sparring.core.records import nearest
from sparring.runs.tensors import tensors_in

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")
"""Keys under which training scripts save the weights beside other things."""
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
"""What `DataParallel`, `torch.compile` and wrapping modules put before every name."""
_OF_TORCH = (b"PK\x03\x04", b"\x80")
"""The first bytes of a file of `torch.save`: a zip archive, or a pickle of old releases."""
_ALONE = "save the weights alone: torch.save(network.state_dict(), FILE)"
_COUNTER = "num_batches_tracked"
"""A buffer that files of old releases lack and that eval mode does not read."""
_SHOWN = 4
"""Names in an error."""


def load_weights(network: nn.Module, path: Path) -> tuple[str, ...]:
    """Give a network the weights of a file.

    Args:
        network: changed in place.
        path: of a safetensors file, or of one of `torch.save` with the weights by name, alone or in one of `WRAPPERS`.

    Returns:
        Remarks on what was unwrapped, renamed and converted.

    Raises:
        UsageError: there is no such file.
        CorruptInput: it is damaged, holds more than tensors, or its tensors are not those of the network.
    """
    if not path.is_file():
        raise UsageError(f"{path}: no such file", "give a safetensors file, or a .pt or .pth file of torch.save")
    expected = network.state_dict()
    state, remarks = _unwrapped(_read(path), path)
    state = _without_prefixes(state, expected, remarks)
    _require_fit(state, expected, path)
    converted = {str(state[name].dtype) for name in state if state[name].dtype != expected[name].dtype}
    if converted:
        remarks.append(f"converted from {', '.join(sorted(converted)).replace('torch.', '')}")
    network.load_state_dict(
        {name: state[name].to(own.dtype) if name in state else own for name, own in expected.items()}
    )
    return tuple(f"weights of {path}: {remark}" for remark in remarks)


def _read(path: Path) -> Any:
    data = read_file(path)
    if not data.startswith(_OF_TORCH):
        try:
            return tensors_in(data, str(path))
        except CorruptInput as error:
            raise CorruptInput(f"{error.cause}, and none of torch.save", _ALONE) from None
    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        names = re.findall(r"GLOBAL ([\w.]+)", str(error))
        code = f" ({names[0]})" if names else ""
        raise CorruptInput(f"{path}: holds code{code} and not tensors alone; it is not run", _ALONE) from None
    except (RuntimeError, ValueError, EOFError, KeyError) as error:
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise CorruptInput(f"{path}: no weights that torch can read: {first}", _ALONE) from None


def _unwrapped(value: Any, path: Path) -> tuple[dict[str, Tensor], list[str]]:
    remarks: list[str] = []
    while not (isinstance(value, Mapping) and value and all(isinstance(each, Tensor) for each in value.values())):
        key = next(
            (name for name in WRAPPERS if isinstance(value, Mapping) and isinstance(value.get(name), Mapping)), ""
        )
        if not key:
            held = f"the keys {_listed(map(str, value))}" if isinstance(value, Mapping) else f"a {type(value).__name__}"
            raise CorruptInput(f"{path}: holds {held}, and no weights by name", _ALONE)
        remarks.append(f"taken from {key!r}")
        value = value[key]
    return dict(value), remarks


def _without_prefixes(
    state: dict[str, Tensor], expected: Mapping[str, Tensor], remarks: list[str]
) -> dict[str, Tensor]:
    while not state.keys() & expected.keys():
        prefix = next((each for each in PREFIXES if all(name.startswith(each) for name in state)), "")
        if not prefix:
            break
        remarks.append(f"prefix {prefix!r} removed from every name")
        state = {name.removeprefix(prefix): values for name, values in state.items()}
    return state


def _require_fit(state: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    missing = [name for name in expected if name not in state and not name.endswith(_COUNTER)]
    unexpected = [name for name in state if name not in expected]
    others = {
        name: f"{name} has shape {tuple(values.shape)}, the network's {tuple(expected[name].shape)}"
        for name, values in state.items()
        if name in expected and values.shape != expected[name].shape
    }
    faults = [
        f"{len(missing)} tensors missing: {_listed(_beside_nearest(missing, state, expected, unexpected))}"
        if missing
        else "",
        f"{len(unexpected)} unknown: {_listed(unexpected)}" if unexpected else "",
        _listed(others.values()),
    ]
    if any(faults):
        raise CorruptInput(
            f"{path}: not the weights of this network: {'; '.join(filter(None, faults))}",
            "name the factory of the network that was saved, or rename its tensors",
        )


def _beside_nearest(
    missing: list[str], state: Mapping[str, Tensor], expected: Mapping[str, Tensor], unexpected: list[str]
) -> list[str]:
    """The missing names, each with the unknown one of its shape that is nearest or alone."""
    named = []
    for name in missing:
        alike = [other for other in unexpected if state[other].shape == expected[name].shape]
        close = nearest(name, alike) or (alike[0] if len(alike) == 1 else "")
        named.append(f"{name} (is it {close}?)" if close else name)
    return named


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    more = [f"... ({len(every)} in all)"] if len(every) > _SHOWN else []
    return ", ".join([*every[:_SHOWN], *more])
