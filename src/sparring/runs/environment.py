"""The environment of a run: environment.json (versions, hardware, seed, commit), the device, and the heap."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from sparring.core.errors import CorruptInput, SparringError, UsageError
from sparring.core.files import read_json

_PACKAGES = ("sparring", "torch", "numpy", "scipy", "pydantic", "safetensors")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_LARGE = 1 << 30  # bytes; larger than nearly every tensor of a round on a CPU
_LARGEST_MAPPED = 32 << 20  # the limit of glibc before 2.35


def describe(device: torch.device, seed: int, training_samples: int) -> dict[str, Any]:
    """The environment of a run, as plain values; a device with its model, for example `cuda (NVIDIA H100)`.

    A CPU's model ends with the instructions that torch uses, as two CPUs that differ in them round differently.

    Args:
        device: of the training.
        seed: of the recipe.
        training_samples: of the data; 0 where they are drawn without end.
    """
    on_gpu = device.type == "cuda"
    processor = platform.processor() or platform.machine()
    model = torch.cuda.get_device_name(device) if on_gpu else f"{processor}, {_instructions()}"
    return {
        "packages": {name: version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": f"{device.type} ({model})",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "seed": seed,
        "training_samples": training_samples,
        "commit": _commit(),
    }


def precision_remarks(precision: str, device: torch.device) -> list[str]:
    """A remark where a device computes a recipe's precision in software."""
    if precision == "bf16" and device.type == "cpu" and _instructions() == "AVX2":
        return ["precision=bf16: this CPU, without AVX-512, computes it in software; precision=fp32 is much faster"]
    return []


@contextmanager
def naming_the_version(run: Path) -> Iterator[None]:
    """Name the version that wrote a run, if it is another one, where something of the run is refused.

    Raises:
        CorruptInput: something was refused within the block.
    """
    try:
        yield
    except (UsageError, CorruptInput) as error:
        this, writer = version("sparring"), _written_by(run)
        if writer in ("", this):
            remedy = "restore the file" if isinstance(error, UsageError) else error.remedy
            raise CorruptInput(error.cause, remedy) from None
        first = error.cause.partition("\n")[0]
        cause = f"{run}: written by sparring {writer}, and this is {this}, which cannot read it: {first}"
        raise CorruptInput(cause, f"open it with sparring {writer}") from None


def choose_device(name: str | torch.device) -> torch.device:
    """The device of this name, with this process set up to use it; `auto` takes a GPU where there is one.

    Raises:
        UsageError: this machine has no such device.
    """
    keep_freed_memory()
    name = str(name)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    available = {"cpu": 1, "cuda": torch.cuda.device_count()}.get(kind, 0)
    if not available or (number and not (kind == "cuda" and number.isdigit() and int(number) < available)):
        raise UsageError(f"device {name!r}: this machine has none", "use auto, cpu, cuda or cuda:N")
    return torch.device(name)


def keep_freed_memory() -> None:
    """Keep memory that this process frees, under glibc; no effect with other C libraries.

    Every round allocates the same large tensors. Memory returned to the system in between is mapped and zeroed again,
    page by page: a tenth of the time of a round with large activations.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # Setting either threshold stops glibc from adapting the other: trimming alone would map every larger tensor anew.
    if mallopt and any(mallopt(_M_MMAP_THRESHOLD, size) for size in (_LARGE, _LARGEST_MAPPED)):
        mallopt(_M_TRIM_THRESHOLD, _LARGE)


def _instructions() -> str:
    """The widest vector instructions that torch uses on this CPU, such as `AVX2` or `AVX512`."""
    return torch.backends.cpu.get_cpu_capability()


def _written_by(run: Path) -> str:
    """The version in a run's environment.json, or an empty string without one."""
    try:
        return str(read_json(run / "environment.json")["packages"]["sparring"])
    except (SparringError, KeyError, TypeError):
        return ""


@functools.cache
def _commit() -> str:
    """The commit of the source tree that the package runs from, or an empty string outside of one."""
    here = Path(__file__)
    try:
        for command in (["ls-files", "--error-unmatch", here.name], ["rev-parse", "HEAD"]):
            result = subprocess.run(["git", *command], cwd=here.parent, capture_output=True, text=True, timeout=5)
            result.check_returncode()
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()
