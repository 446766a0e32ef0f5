"""Rounds on a GPU: a round launches its work and never waits for the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from sparring.gan.state import GANState
from sparring.gan.step import play_round
from sparring.recipes import Recipe

GAMES = {
    "plain": ("regime=plain",),
    "symmetric": ("regime={name: symmetric, attack: {name: fgsm, epsilon: 0.1}}",),
    "PGD": ("regime={name: replace, attack: {name: pgd, epsilon: 0.1, steps: 2}}",),
    "GP": ("lipschitz=gradient_penalty", "critic_steps=3"),
    "spectral norm": ("lipschitz=spectral_norm",),
    "dishonest": ("feedback={name: flip, probability: 0.3}", "objective=nonsaturating"),
    "packed": ("replicas=3", "feedback={name: flip, probability: 0.3}"),
}


@contextmanager
def no_synchronisation() -> Iterator[None]:
    """A block in which waiting for the GPU is an error."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
@pytest.mark.parametrize("name", GAMES)
def test_no_round_waits_for_the_gpu(short: Callable[..., Recipe], name: str) -> None:
    device, recipe = torch.device("cuda"), short("feedback=honest", "lipschitz=none", *GAMES[name])
    game = GANState(recipe, recipe.data.open(device), device)
    play_round(game, 0)  # the first round asks the networks for what they are
    for step in range(1, 6):
        with no_synchronisation():
            play_round(game, step)
