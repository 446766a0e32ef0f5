"""What a run was made with: versions, hardware, seed, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from sparring.core.errors import UsageError
from sparring.core.heap import keep_freed_memory

_PACKAGES = ("sparring", "torch", "numpy", "scipy", "pydantic", "safetensors")


def describe(device: torch.device, seed: int) -> dict[str, Any]:
    """The environment of a run, as plain values."""
    return {
        "packages": {name: version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": device_name(device),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "seed": seed,
        "commit": _commit(),
    }


def device_name(device: torch.device) -> str:
    """A device in words, for example `cuda (NVIDIA H100)`."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    return f"{device.type} ({platform.processor() or platform.machine()})"


def choose_device(name: str) -> torch.device:
    """The device of this name, and this process ready to work there; `auto` takes a GPU where there is one.

    Raises:
        UsageError: there is no such device here.
    """
    keep_freed_memory()
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    there = {"cpu": 1, "cuda": torch.cuda.device_count()}.get(kind, 0)
    if not there or (number and not (kind == "cuda" and number.isdigit() and int(number) < there)):
        raise UsageError(f"device {name!r}: there is none here", "use auto, cpu, cuda or cuda:N")
    return torch.device(name)


def _commit() -> str:
    """The commit of the source tree that the package runs from, or nothing outside of one."""
    here = Path(__file__)
    try:
        for command in (["ls-files", "--error-unmatch", here.name], ["rev-parse", "HEAD"]):
            result = subprocess.run(["git", *command], cwd=here.parent, capture_output=True, text=True, timeout=5)
            result.check_returncode()
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()
