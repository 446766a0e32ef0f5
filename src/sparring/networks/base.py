"""Networks: a frozen spec in the recipe that builds an nn.Module for a given sample space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from sparring.errors import UsageError
from sparring.pieces import Piece, piece
from sparring.randomness import Rng
from sparring.records import Count
from sparring.shapes import IMAGE_BOUNDS, Seen, Space


class Verdict(NamedTuple):
    """What a discriminator returns: a raw score per sample `(*batch)`, and class logits where it has a class head."""

    score: Tensor
    classes: Tensor | None = None


class FeatureNetwork(nn.Module, ABC):
    """A module that sees features in images, and in those the logits of classes."""

    @abstractmethod
    def see(self, images: Tensor) -> Seen:
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
    """A spec that builds a module; every initial weight comes from the given stream."""

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


class Generator(Network, family="generator"):
    """Maps latents `(*batch, latent)` to samples `(*batch, *space.shape)`, within `space.bounds` where there are any.

    Args:
        latent: how many latent coordinates.
        prior: their distribution.
    """

    latent: Count
    prior: Prior = NormalPrior()


class Discriminator(Network, family="discriminator"):
    """Maps samples `(*batch, *space.shape)` to a `Verdict`."""


def require_image(network: Network, space: Space, lead: tuple[int, ...], multiple_of: int) -> tuple[int, int]:
    """Channels and side of the images that a convolutional network is built for.

    Raises:
        UsageError: the samples are not square images of a side that fits, or games are to be packed.
    """
    if lead:
        raise UsageError(
            f"{network.family}: {network.name!r} has no packed form, and the recipe asks for replicas = {lead[0]}",
            "set replicas=1, or use the mlp networks",
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
