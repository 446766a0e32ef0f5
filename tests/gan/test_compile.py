"""`compile: true`: the networks of a round through torch.compile, with the numbers of the eager round.

Runtime type checks break torch.compile, so this file is also run as a script, in a process without them.
"""

from __future__ import annotations

import subprocess
import sys
from functools import partial

import pytest
import torch

from sparring.core.errors import SparringError
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.recipes import load, require_game

CONTROLS = ["gradient_penalty", "zero_centred", "{name: together, controls: [lipschitz_penalty]}"]
SMALL = ["generator.hidden=[8]", "discriminator.hidden=[8]", "batch_size=16", "ema=0.9"]
GAMES = (
    ["replicas=1"],
    ["replicas=2", "regime={name: symmetric, attack: {name: fgsm, epsilon: 0.02}}"],
    ["replicas=1", "regime={name: replace, attack: {name: pgd, epsilon: 0.02, steps: 2}}"],
)


def test_compiled_games_equal_eager_ones() -> None:
    done = subprocess.run([sys.executable, __file__], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("control", CONTROLS)
def test_second_derivatives_are_refused(control: str) -> None:
    with pytest.raises(SparringError, match="second derivatives"):
        load("dishonest/ring-small", [f"lipschitz={control}", "compile=true"])


def trained(*overrides: str) -> GANState:
    """A small ring after three rounds."""
    recipe = require_game(load("dishonest/ring-small", [*SMALL, *overrides]), "a test")
    device = torch.device("cpu")
    game = GANState(recipe, recipe.data.open(device), device)
    for step in range(3):
        play_round(game, step)
    return game


if __name__ == "__main__":
    torch.set_num_threads(1)
    # Traced and differentiated by torch.compile, run by eager kernels: a C++ compiler takes half a minute.
    torch.compile = partial(torch.compile, backend="aot_eager")
    for overrides in GAMES:
        eager, compiled = trained(*overrides), trained(*overrides, "compile=true")
        assert compiled.discriminator is not compiled.networks.discriminator
        for (name, ours), theirs in zip(eager.state().items(), compiled.state().values(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6, msg=name)
