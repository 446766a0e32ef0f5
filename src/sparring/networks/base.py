"""Networks: a frozen spec in the recipe that builds an nn.Module for a given sample space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.core.errors import UsageError
from sparring.core.pieces import FAMILIES, Piece, members, piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import IMAGE_BOUNDS, FeaturesAndLogits, Space


class Verdict(NamedTuple):
    """What a discriminator returns: a raw score per sample `(*batch)`, and class logits where it has a class head."""

    score: Tensor
    classes: Tensor | None = None


class FeatureNetwork(nn.Module, ABC):
    """A module that sees features in images, and in those the logits of classes."""

    @abstractmethod
    def extract(self, images: Tensor) -> FeaturesAndLogits:
        """Features and logits of images `(n, channels, height, width)` in [-1, 1]."""


class Prior(Piece, family="prior"):
    """The distribution of the latents."""

    @abstractmethod
    def draw(self, shape: Sequence[int], *, rng: Rng) -> Tensor:
        """Latents of this shape."""


@piece("normal")
class NormalPrior(Prior):
    """N(0, 1) in every coordinate."""

    def draw(self, shape: Sequence[int], *, rng: Rng) -> Tensor:
        return rng.normal(shape)


@piece("uniform")
class UniformPrior(Prior):
    """U[-1, 1) in every coordinate."""

    def draw(self, shape: Sequence[int], *, rng: Rng) -> Tensor:
        return rng.uniform(shape, -1.0, 1.0)


class Network(Piece):
    """A spec that builds a module; every initial weight comes from the given stream.

    Attributes:
        packs: whether it has a form for packed games.
    """

    packs: ClassVar[bool] = False

    @abstractmethod
    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> nn.Module:
        """The network for samples of this space.

        Args:
            space: shape and range of the samples.
            lead: `()`, or `(replicas,)` for packed games.
            rng: where the initial weights come from, stacked when `lead` is not empty.

        Raises:
            UsageError: the network has no form for this space, or no packed form.
        """


class Codes(NamedTuple):
    """What a generator makes samples of.

    Args:
        values: latents, and behind them the one-hot classes where it is told any: `(*batch, inputs)`.
        labels: those classes `(*batch)`, or None.
    """

    values: Tensor
    labels: Tensor | None


class Generator(Network, family="generator"):
    """Maps codes `(*batch, inputs)` to samples `(*batch, *space.shape)`, within `space.bounds` where there are any.

    Args:
        latent: how many latent coordinates.
        prior: their distribution.
        conditional: whether it is told the class that it shall draw.
    """

    latent: Count
    prior: Prior = NormalPrior()
    conditional: bool = False

    def inputs(self, space: Space) -> int:
        """How many coordinates a code has."""
        return self.latent + (space.classes if self.conditional else 0)

    def encode(self, latents: Tensor, labels: Tensor | None, space: Space) -> Tensor:
        """Codes of latents `(*batch, latent)` and, for a conditional generator, labels `(*batch)`."""
        if labels is None:
            return latents
        return torch.cat([latents, F.one_hot(labels, space.classes).to(latents)], dim=-1)

    def draw(self, shape: Sequence[int], space: Space, *, rng: Rng, labels: Tensor | None = None) -> Codes:
        """Codes of this batch shape.

        Args:
            shape: `*batch`.
            space: of the samples.
            rng: of the latents, and of the classes where they are drawn.
            labels: the classes wanted, broadcast to the shape; uniform without. Ignored by an unconditional generator.
        """
        latents = self.prior.draw((*shape, self.latent), rng=rng)
        if not self.conditional:
            return Codes(latents, None)
        told = rng.integers(shape, space.classes) if labels is None else labels.to(latents.device).expand(tuple(shape))
        return Codes(self.encode(latents, told, space), told)


def spread(count: int, classes: int) -> Tensor | None:
    """`count` labels in order, as evenly over the classes as can be; None without classes."""
    return torch.arange(count) * classes // count if classes else None


def require_images(network: Network, space: Space) -> tuple[int, int, int]:
    """Channels, height and width of the images that a convolutional network looks at.

    Raises:
        UsageError: the samples are no images.
    """
    if len(space.shape) != 3:
        raise UsageError(
            f"{network.family}: {network.name!r} wants images, the data have shape {space.shape}",
            "choose data of images, for example digits",
        )
    channels, height, width = space.shape
    return channels, height, width


def require_image(network: Network, space: Space, lead: tuple[int, ...], multiple_of: int) -> tuple[int, int]:
    """Channels and side of the images that a convolutional network is built for.

    Raises:
        UsageError: the samples are not square images of a side that fits, or games are to be packed.
    """
    if lead:
        packing = [
            name for name, each in members(FAMILIES[network.family]).items() if issubclass(each, Network) and each.packs
        ]
        raise UsageError(
            f"{network.family}: {network.name!r} has no packed form, and the recipe asks for replicas = {lead[0]}",
            f"set replicas=1, or use a network that packs: {', '.join(packing)}",
        )
    square = len(space.shape) == 3 and space.shape[1] == space.shape[2]
    if not square or space.shape[1] % multiple_of:
        divisible = f" with a side divisible by {multiple_of}" if multiple_of > 1 else ""
        raise UsageError(
            f"{network.family}: {network.name!r} wants square images{divisible}, the data have shape {space.shape}",
            "choose another network for these data, for example mlp, or `sparring data prepare` them with --size",
        )
    if space.bounds != IMAGE_BOUNDS:
        raise UsageError(
            f"{network.family}: {network.name!r} makes values in [-1, 1], the data declare {space.bounds}",
            "choose the mlp networks, or data in [-1, 1]",
        )
    return space.shape[0], space.shape[1]


def require_doublings(network: Network, space: Space, lead: tuple[int, ...]) -> tuple[int, int]:
    """Channels of the images, and how often their side doubles from 4: k of a side 4 x 2^k, at least 1.

    Raises:
        UsageError: the samples are not square images of such a side, or games are to be packed.
    """
    channels, side = require_image(network, space, lead, 1)
    if side < 8 or side.bit_count() != 1:
        raise UsageError(
            f"{network.family}: {network.name!r} wants images with a side of 8, 16, 32, ..., the data have {side}",
            "prepare the data with --size, or choose another network, for example mlp",
        )
    return channels, side.bit_length() - 3


def require_bottom(network: Network, space: Space, lead: tuple[int, ...]) -> tuple[int, int, int]:
    """Channels of the images, the side that theirs is halved to while it is even and above 4, and how often it is.

    Raises:
        UsageError: the samples are not square images, or of a side that halves to none of at most 7, or games are to
            be packed.
    """
    channels, side = require_image(network, space, lead, 1)
    bottom = side
    while bottom % 2 == 0 and bottom > 4:
        bottom //= 2
    if bottom == side or bottom > 7:
        raise UsageError(
            f"{network.family}: {network.name!r} wants images with a side of 8, 16, 28, 32, 64, ..., that halves to "
            f"at most 7, the data have {side}",
            "prepare the data with --size, or choose another network, for example mlp",
        )
    return channels, bottom, (side // bottom).bit_length() - 1
