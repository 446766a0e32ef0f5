"""Networks: frozen specs in the recipe that build an nn.Module for a given sample space; and their forward passes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from sparring.core.errors import UsageError
from sparring.core.pieces import FAMILIES, Piece, members, piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import IMAGE_BOUNDS, FeaturesAndLogits, Space, at_least_fp32
from sparring.networks.initial import ArchitectureInit, Init


class Verdict(NamedTuple):
    """What a discriminator returns: a raw score per sample `(*batch)`, and class logits where it has a class head."""

    score: Tensor
    classes: Tensor | None = None


Precision = Literal["fp32", "tf32", "bf16"]
"""`fp32`; `tf32`, matrix products and convolutions of CUDA in TF32; or `bf16`, networks under autocast."""


def forward(network: nn.Module, inputs: Tensor, precision: Precision) -> Any:
    """The output of a network under a recipe's precision, at least fp32. Sets torch's TF32 switches on a GPU.

    Only networks run in lower precision: payoffs, penalties, gradients of parameters and optimizers stay in fp32.
    """
    if inputs.is_cuda:
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
    if precision != "bf16":
        return network(inputs)
    with torch.autocast(inputs.device.type, torch.bfloat16):
        output = network(inputs)
    return tree_map_only(Tensor, at_least_fp32, output)


class FeatureNetwork(nn.Module, ABC):
    """A module from images to features and class logits."""

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
    """A spec that builds a module, with initial weights from a given random stream.

    Args:
        init: the initial weights.

    Attributes:
        packs: whether it supports packed games.
    """

    packs: ClassVar[bool] = False

    init: Init = ArchitectureInit()

    @abstractmethod
    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> nn.Module:
        """The network for samples of this space, with the architecture's own initial weights.

        Args:
            space: shape and range of the samples.
            lead: `()`, or `(replicas,)` for packed games.
            rng: of the initial weights; of all games, if they are packed.

        Raises:
            UsageError: the network does not support this space, or packed games.
        """


class Codes(NamedTuple):
    """The inputs of a generator.

    Args:
        values: latents, followed by one-hot classes for a conditional generator: `(*batch, inputs)`.
        labels: those classes `(*batch)`, or None.
    """

    values: Tensor
    labels: Tensor | None


class Generator(Network, family="generator"):
    """Maps codes `(*batch, inputs)` to samples `(*batch, *space.shape)`, within `space.bounds` if it has any.

    Args:
        latent: how many latent coordinates.
        prior: their distribution.
        conditional: whether the class of a sample is an input.
    """

    latent: Count
    prior: Prior = NormalPrior()
    conditional: bool = False

    def inputs(self, space: Space) -> int:
        """The number of coordinates of a code."""
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
            rng: of the latents, and of classes that are drawn.
            labels: classes, broadcast to the shape; drawn uniformly if None. Ignored by unconditional generators.
        """
        latents = self.prior.draw((*shape, self.latent), rng=rng)
        if not self.conditional:
            return Codes(latents, None)
        classes = rng.integers(shape, space.classes) if labels is None else labels.to(latents.device)
        classes = classes.expand(tuple(shape))
        return Codes(self.encode(latents, classes, space), classes)


def spread(count: int, classes: int) -> Tensor | None:
    """`count` labels in order, spread evenly over the classes; None without classes."""
    return torch.arange(count) * classes // count if classes else None


def chosen_classes(count: int, classes: int, label: Any) -> Tensor:
    """The classes of samples.

    Args:
        count: of the samples.
        classes: how many there are.
        label: the class of all, or of each: numbers, a tensor or an array.

    Raises:
        UsageError: they are no classes, or not as many.
    """
    labels = torch.as_tensor(label)
    if labels.is_floating_point() or labels.dim() > 1 or labels.numel() not in (1, count):
        raise UsageError(f"label = {label}: should be a class, or one for each of {count} samples", "write label=3")
    if int(labels.min()) < 0 or int(labels.max()) >= classes:
        raise UsageError(f"label = {label}: no such class", f"the classes are 0 to {classes - 1}")
    return labels.long().reshape(-1).expand(count)


def require_images(network: Network, space: Space) -> tuple[int, int, int]:
    """Channels, height and width of images.

    Raises:
        UsageError: the samples are not images.
    """
    if len(space.shape) != 3:
        raise _unfit(network, "images", space)
    channels, height, width = space.shape
    return channels, height, width


def require_square_images(
    network: Network, space: Space, lead: tuple[int, ...], multiple_of: int = 1
) -> tuple[int, int]:
    """Channels and side of square images.

    Raises:
        UsageError: the samples are not square images in [-1, 1] of a side that fits, or games are packed.
    """
    if lead:
        family = members(FAMILIES[network.family])
        packing = [name for name, each in family.items() if issubclass(each, Network) and each.packs]
        raise UsageError(
            f"{network.family}: {network.name!r} does not support packed games, and replicas = {lead[0]}",
            f"set replicas=1, or a network that supports them: {', '.join(packing)}",
        )
    channels, side, width = require_images(network, space)
    if side != width or side % multiple_of or space.bounds != IMAGE_BOUNDS:
        divisible = f" with a side divisible by {multiple_of}" if multiple_of > 1 else ""
        raise _unfit(network, f"square images in [-1, 1]{divisible}", space)
    return channels, side


def require_halvings(
    network: Network, space: Space, lead: tuple[int, ...], bottoms: Collection[int] = (4,)
) -> tuple[int, int, int]:
    """Channels, bottom and k of square images with a side bottom x 2^k: the side is halved while even and above 4.

    Args:
        network: of the error message.
        space: of the samples.
        lead: of packed games.
        bottoms: the supported ones.

    Raises:
        UsageError: the samples are not square images of such a side, or games are packed.
    """
    channels, side = require_square_images(network, space, lead)
    bottom = side
    while bottom % 2 == 0 and bottom > 4:
        bottom //= 2
    if bottom == side or bottom not in bottoms:
        sides = "8, 16, 32, ..." if tuple(bottoms) == (4,) else "8, 16, 28, 32, ..., 4 to 7 times a power of two"
        raise _unfit(network, f"images with a side of {sides}", space)
    return channels, bottom, (side // bottom).bit_length() - 1


def _unfit(network: Network, needs: str, space: Space) -> UsageError:
    return UsageError(
        f"{network.family}: {network.name!r} needs {needs}, the data have {space}",
        "choose another network, for example mlp, or `sparring data prepare` the data with --size",
    )
