"""The recipes of the course notes: what figures 1 and 2 say of a game on a line."""

from __future__ import annotations

import torch

from sparring.gan.sampling import draw
from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.monitoring.line_picture import line_arrays
from sparring.recipes import load, require_game

CPU = torch.device("cpu")


def played(name: str) -> GANState:
    recipe = require_game(load(name), name)
    game = GANState(recipe, recipe.data.open(CPU), CPU)
    for step in range(100):
        play_round(game, step)
    return game


def test_a_lipschitz_discriminator_teaches_and_a_perfect_one_does_not() -> None:
    games = {name: played(f"notes/{name}-discriminator") for name in ("perfect", "lipschitz")}
    mean = {name: float(draw(game, 2048, "test", 0).samples.mean()) for name, game in games.items()}
    push = {name: abs(line_arrays(game)["gradient"]).mean() for name, game in games.items()}
    assert mean["perfect"] < -1 < 1 < mean["lipschitz"]
    assert push["perfect"] < 0.02 < 0.2 < push["lipschitz"]


def test_only_the_lipschitz_control_differs() -> None:
    perfect, lipschitz = (
        load(f"notes/{name}-discriminator").model_dump(mode="json") for name in ("perfect", "lipschitz")
    )
    assert {key for key in perfect if perfect[key] != lipschitz[key]} == {"description", "lipschitz"}
