"""Freed memory stays with the process, so that large tensors are not mapped again; a CPU is named with its limits."""

from __future__ import annotations

import platform
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from sparring.runs import environment
from sparring.runs.environment import describe, keep_freed_memory, precision_remarks

ON_GLIBC = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc only")
FAULTS = """
import resource, torch
from sparring.runs.environment import choose_device
{ready}
def come_and_go():
    large = [torch.ones(2_000_000) for _ in range(8)]
for _ in range(5):
    come_and_go()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    come_and_go()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(ready: str) -> int:
    """Page faults of a new process that allocates and frees 160 tensors of 8 MB."""
    command = [sys.executable, "-c", FAULTS.format(ready=ready)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@ON_GLIBC
def test_choosing_a_device_keeps_freed_memory() -> None:
    """160 tensors are 312,500 pages of 4 KiB; by default glibc maps all, half or none of them again."""
    assert faults("choose_device('cpu')") < 10_000


@pytest.mark.parametrize(
    ("most", "accepted"),
    [(1 << 40, [(-3, 1 << 30), (-1, 1 << 30)]), (32 << 20, [(-3, 32 << 20), (-1, 1 << 30)]), (0, [])],
    ids=["new", "old", "refusing"],
)
def test_without_a_threshold_for_mapping_none_is_set_for_trimming(
    most: int, accepted: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[tuple[int, int]] = []

    def mallopt(parameter: int, value: int) -> int:
        if parameter == -3 and value > most:
            return 0
        found.append((parameter, value))
        return 1

    monkeypatch.setattr(environment.ctypes, "CDLL", lambda _name: SimpleNamespace(mallopt=mallopt))
    keep_freed_memory()
    assert found == accepted


@pytest.mark.parametrize(
    ("capability", "precision", "device", "remarks"),
    [("AVX2", "bf16", "cpu", 1), ("AVX512", "bf16", "cpu", 0), ("AVX2", "fp32", "cpu", 0), ("AVX2", "bf16", "cuda", 0)],
)
def test_a_precision_in_software_is_remarked(
    capability: str, precision: str, device: str, remarks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert len(precision_remarks(precision, torch.device(device))) == remarks


def test_the_instructions_of_a_cpu_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert describe(torch.device("cpu"), 0, 0)["device"].endswith(", AVX512)")
