"""Games in memory for computations: a recipe, one game, a few changed keys, in double precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from sparring.core.randomness import Rng
from sparring.core.shapes import IMAGE_BOUNDS
from sparring.data import Source
from sparring.data.arrays import ArraySource, ImageArrays
from sparring.data.base import Facts
from sparring.gan.state import GANState
from sparring.recipes import Recipe, require_game, set_key, unvalidated, validated

CPU = torch.device("cpu")
DESCENT = {"name": "sgd", "lr": 0.1}
"""The paper's equations (3), (4) and (8) are plain gradient steps."""


def recipe_of(name: str, seed: int, changes: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe of one game in fp32; arguments as those of `game_of`."""
    values = unvalidated(name) | {"replicas": 1, "seed": seed, "precision": "fp32"}
    for key, value in (changes or {}).items():
        set_key(values, key, value)
    return require_game(validated(values, name), name)


def game_of(recipe: str, seed: int, changes: Mapping[str, Any] | None = None, *, double: bool = True) -> GANState:
    """One game of a recipe at its start.

    Args:
        recipe: its name.
        seed: of the game.
        changes: dotted keys with their values.
        double: whether networks compute in fp64, so that rounding does not hide what a computation compares.
    """
    loaded = recipe_of(recipe, seed, changes)
    state = GANState(loaded, loaded.data.open(CPU), CPU)
    if double:
        for network in (state.networks.generator, state.networks.discriminator):
            network.double().register_forward_pre_hook(_in_double)
    return state


def noise_source(side: int, channels: int, seed: int, count: int = 256) -> Source:
    """Images of random bytes, for what depends on shapes alone."""
    shape = (count, channels, side, side)
    images = ImageArrays(Rng.of(seed).integers(shape, 256).to(torch.uint8), None)
    return ArraySource(Facts(shape[1:], IMAGE_BOUNDS), images, images, scale=127.5, device=CPU)


def values_of(network: nn.Module) -> Tensor:
    """All parameters of a network in one vector, detached."""
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()]).clone()


def relative_error(found: Tensor, expected: Tensor) -> float:
    """|found - expected| / |expected|, Euclidean; the absolute error where nothing is expected."""
    size = torch.linalg.vector_norm(expected)
    return float(torch.linalg.vector_norm(found - expected) / torch.where(size > 0, size, 1.0))


def _in_double(_network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(each.double() for each in inputs)
