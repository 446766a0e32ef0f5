"""Samples of a generator outside of training: in eval mode, from a named random stream, finite."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparring.core.descent import require_finite
from sparring.core.modules import evaluating
from sparring.core.randomness import Streams
from sparring.core.shapes import Space
from sparring.data import Batch
from sparring.networks import forward
from sparring.recipes import Recipe, TrainingRecipe

_AT_ONCE = 512
"""Samples in one forward pass."""


def laid_out(recipe: TrainingRecipe, samples: Tensor) -> Tensor:
    """Samples in the memory format of the recipe; everything computed from them keeps it."""
    if recipe.memory_format == "contiguous" or samples.dim() != 4:
        return samples
    return samples.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def draw(
    recipe: Recipe,
    generator: nn.Module,
    space: Space,
    streams: Streams,
    count: int,
    name: str,
    number: int,
    labels: Tensor | None = None,
) -> Batch:
    """Samples `(*lead, count, ...)` of a generator in eval mode, and their classes if it is conditional.

    Args:
        recipe: gives prior and precision.
        generator: of one game, or of packed games.
        space: of the samples.
        streams: of the game.
        count: samples a game.
        name: the stream of the codes.
        number: within that stream.
        labels: the classes for a conditional generator, `(count)`; uniform by default.

    Raises:
        NonFinite: a sample is not finite.
    """
    rng = streams.rng(name, number)
    codes = recipe.generator.draw((*recipe.lead, count), space, rng=rng, labels=labels)
    return Batch(rendered(recipe, generator, codes.values), codes.labels)


@torch.no_grad()
def rendered(recipe: Recipe, generator: nn.Module, codes: Tensor) -> Tensor:
    """Samples of a generator in eval mode from codes `(*lead, count, inputs)`.

    Raises:
        NonFinite: a sample is not finite.
    """
    with evaluating(generator):
        split = torch.split(codes, _AT_ONCE, dim=len(recipe.lead))
        parts = [forward(generator, part, recipe.precision) for part in split]
    samples = torch.cat(parts, dim=len(recipe.lead))
    require_finite("sampling", {"samples of G": samples})
    return samples
