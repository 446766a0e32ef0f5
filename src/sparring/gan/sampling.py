"""Samples of a generator outside of training: in eval mode, from a named random stream, finite."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparring.core.descent import require_finite
from sparring.core.errors import UsageError
from sparring.core.modules import evaluating
from sparring.core.records import nearest
from sparring.data import Batch
from sparring.gan.load import LoadedGAN
from sparring.gan.state import GANState
from sparring.networks import forward
from sparring.recipes import Recipe

GAN = GANState | LoadedGAN
"""A GAN in training, or loaded from a checkpoint."""
_AT_ONCE = 512
"""Samples in one forward pass."""
_SHOWN = 12
"""Names of classes in an error."""


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


def class_number(gan: LoadedGAN, label: int | str) -> int:
    """The number of a class, from 0.

    Args:
        gan: a conditional generator.
        label: the number, or the name in the data.

    Raises:
        UsageError: there is no such class, the generator is not conditional, or the data with the names are gone.
    """
    if not gan.recipe.generator.conditional:
        raise UsageError(
            f"{gan.path}: its generator has no classes to choose from",
            "leave the label out, or train a recipe with generator.conditional=true",
        )
    classes, text = gan.networks.space.classes, str(label)
    if text.isdecimal() and int(text) < classes:
        return int(text)
    names = gan.data().facts.classes
    if text in names:
        return names.index(text)
    close = "" if text.isdecimal() else nearest(text, names)
    hint = f"; did you mean {close}?" if close else ""
    raise UsageError(f"label {text!r}: no such class{hint}", f"a number from 0 to {classes - 1}, or of {_few(names)}")


def _few(names: tuple[str, ...]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


@torch.no_grad()
def rendered(recipe: Recipe, generator: nn.Module, codes: Tensor) -> Tensor:
    """Samples of a generator in eval mode from codes `(*lead, count, inputs)`."""
    with evaluating(generator):
        split = torch.split(codes, _AT_ONCE, dim=len(recipe.lead))
        parts = [forward(generator, part, recipe.precision) for part in split]
    return torch.cat(parts, dim=len(recipe.lead))
