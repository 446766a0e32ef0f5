"""Memory that is freed stays with the process: large tensors that come and go are no new pages."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
FAULTS = """
import resource, torch
from sparring.engine.environment import choose_device
{ready}
def come_and_go():
    large = [torch.ones(2_000_000) for _ in range(8)]
come_and_go()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    come_and_go()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(ready: str) -> int:
    """Pages that a new process is given while 160 tensors of 8 MB come and go."""
    command = [sys.executable, "-c", FAULTS.format(ready=ready)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_a_device_that_is_chosen_keeps_freed_memory() -> None:
    assert faults("") > 10 * faults("choose_device('cpu')")
