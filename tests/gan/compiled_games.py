"""Small games with and without `compile: true`, in a process of its own: runtime type checks break torch.compile.

Traced and differentiated by torch.compile, but run by eager kernels, since a C++ compiler takes half a minute.
"""

from __future__ import annotations

from functools import partial

import torch

from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.recipes import load, require_game

CPU = torch.device("cpu")
SMALL = ["generator.hidden=[8]", "discriminator.hidden=[8]", "batch_size=16", "ema=0.9"]
GAMES = (
    ["replicas=1"],
    ["replicas=2", "regime={name: symmetric, attack: {name: fgsm, epsilon: 0.02}}"],
    ["replicas=1", "regime={name: replace, attack: {name: pgd, epsilon: 0.02, steps: 2}}"],
)


def played(*overrides: str) -> GANState:
    """A small ring after three rounds."""
    recipe = require_game(load("dishonest/ring-small", [*SMALL, *overrides]), "a test")
    game = GANState(recipe, recipe.data.open(CPU), CPU)
    for step in range(3):
        play_round(game, step)
    return game


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.compile = partial(torch.compile, backend="aot_eager")
    for overrides in GAMES:
        eager, compiled = played(*overrides), played(*overrides, "compile=true")
        assert compiled.discriminator is not compiled.networks.discriminator
        for (name, ours), theirs in zip(eager.state().items(), compiled.state().values(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6, msg=name)
