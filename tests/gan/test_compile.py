"""`compile: true`: the networks of a round through torch.compile, with the numbers of the eager round."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sparring.core.errors import SparringError
from sparring.recipes import load

CONTROLS = ["gradient_penalty", "zero_centred", "{name: together, controls: [lipschitz_penalty]}"]


def test_compiled_games_equal_eager_ones() -> None:
    script = Path(__file__).with_name("compiled_games.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("control", CONTROLS)
def test_second_derivatives_are_refused(control: str) -> None:
    with pytest.raises(SparringError, match="second derivatives"):
        load("dishonest/ring-small", [f"lipschitz={control}", "compile=true"])
