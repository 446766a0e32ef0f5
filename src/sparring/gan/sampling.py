"""Samples of a generator outside of training: in eval mode, from a named random stream, finite."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparring.core.descent import require_finite
from sparring.core.modules import evaluating
from sparring.data import Batch
from sparring.gan.load import LoadedGAN
from sparring.gan.state import GANState
from sparring.networks import forward
from sparring.recipes import Recipe

GAN = GANState | LoadedGAN
"""A GAN in training, or loaded from a checkpoint."""
_AT_ONCE = 512
"""Samples in one forward pass."""


def draw(
    gan: GAN,
    count: int,
    stream: str,
    number: int,
    *,
    labels: Tensor | None = None,
    generator: nn.Module | None = None,
) -> Batch:
    """Samples `(*lead, count, ...)` in eval mode, and their classes if the generator is conditional.

    Args:
        gan: of one game, or of packed games.
        count: samples a game.
        stream: of the codes.
        number: within that stream.
        labels: the classes for a conditional generator, `(count)`; uniform by default.
        generator: of the samples; by default G, or its running mean if the recipe has one.

    Raises:
        NonFinite: a sample of a single game is not finite; a packed game then counts as diverged.
    """
    recipe, networks = gan.recipe, gan.networks
    codes = recipe.generator.draw(
        (*recipe.lead, count), networks.space, rng=gan.streams.rng(stream, number), labels=labels
    )
    generator = networks.sampler if generator is None else generator
    samples = rendered(recipe, generator, codes.values)
    require_finite("sampling", {"samples of G": samples}, gan.diverged)
    return Batch(samples, codes.labels)


@torch.no_grad()
def rendered(recipe: Recipe, generator: nn.Module, codes: Tensor) -> Tensor:
    """Samples of a generator in eval mode from codes `(*lead, count, inputs)`."""
    with evaluating(generator):
        split = torch.split(codes, _AT_ONCE, dim=len(recipe.lead))
        parts = [forward(generator, part, recipe.precision) for part in split]
    return torch.cat(parts, dim=len(recipe.lead))
