"""Shapes, ranges and the reductions that all packages share.

`*batch` is `(n)` for a single game or `(replicas, n)` for packed ones. A mean over samples reduces the last batch
axis; a norm of a sample reduces its trailing axes. Code that keeps to both serves one game and many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.core.errors import UsageError

Scores = Float[Tensor, "*batch"]
Samples = Float[Tensor, "..."]
Points = Float[Tensor, "_ features"]


class Bounds(NamedTuple):
    """The range of data, inclusive."""

    low: float
    high: float


IMAGE_BOUNDS = Bounds(-1.0, 1.0)


def at_least_fp32(values: Tensor) -> Tensor:
    """Half-precision numbers as fp32; fp32 and fp64 as they are."""
    return values if values.dtype == torch.float64 else values.float()


def over_samples(values: Tensor) -> Tensor:
    """The mean over the samples of each game: `(n) -> ()`, `(replicas, n) -> (replicas)`."""
    return values.mean(-1)


def sample_norm(x: Tensor, batch_axes: int, eps: float = 1e-12) -> Tensor:
    """The Euclidean norm of every sample in fp32 or fp64, `sqrt(sum x^2 + eps^2)`, differentiable twice at zero.

    Args:
        x: samples, `(*batch, ...)`.
        batch_axes: how many leading axes are batch.
        eps: added in quadrature; the norm of a zero sample reads eps.
    """
    squares = at_least_fp32(x).square().flatten(batch_axes).sum(-1)
    return torch.sqrt(squares + eps * eps)


def expand_like(values: Tensor, x: Tensor) -> Tensor:
    """Per-sample values with trailing axes of size one, to broadcast against samples."""
    return values.reshape(values.shape + (1,) * (x.dim() - values.dim()))


@dataclass(frozen=True)
class Space:
    """The shape of one sample, the range of its values, and the number of classes.

    Args:
        shape: `(channels, height, width)` or `(features,)`.
        bounds: the inclusive range `(low, high)`, or None where values are unbounded.
        classes: their number; 0 without labels.

    Raises:
        UsageError: the bounds are not two numbers, the lower one first.
    """

    shape: tuple[int, ...]
    bounds: tuple[float, float] | None
    classes: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        object.__setattr__(self, "bounds", None if self.bounds is None else bounds_of(self.bounds))

    @staticmethod
    def of(space: SpaceLike, samples: Tensor) -> Space:
        """The space of samples, from a space or from the range of their values.

        Args:
            space: of the samples; or their range, for samples with one batch axis.
            samples: `(*batch, ...)`.

        Raises:
            UsageError: it is neither, or the samples have another shape.
        """
        if not isinstance(space, Space):
            return Space(samples.shape[1:], None if space is None else bounds_of(space))
        if samples.shape[samples.dim() - len(space.shape) :] != space.shape or samples.dim() == len(space.shape):
            raise UsageError(
                f"samples of shape {tuple(samples.shape)}: space says (n, {', '.join(map(str, space.shape))})",
                "give a batch of samples of that shape; samples.unsqueeze(0) is a batch of one",
            )
        return space

    @cached_property
    def width(self) -> float:
        """The factor from units of [0, 1] to the samples' units: high - low, or 1 for samples without a range."""
        low, high = self.bounds or (0.0, 1.0)
        return high - low

    def __str__(self) -> str:
        range_ = f" in {tuple(self.bounds)}" if self.bounds else ""
        return f"shape {self.shape}{range_} and {self.classes} classes"


SpaceLike = Space | Sequence[float | int] | None
"""A space; or the range of samples with one batch axis, None without one."""


def bounds_of(ends: Sequence[float]) -> Bounds:
    """A range from two numbers.

    Raises:
        UsageError: it is not two numbers, the lower one first.
    """
    try:
        low, high = map(float, ends)
    except (TypeError, ValueError):
        raise UsageError(f"bounds = {ends!r}: should be two numbers", "write, for example, (0, 1) or (-1, 1)") from None
    if not low < high:
        raise UsageError(f"bounds = {ends!r}: {low:g} is not below {high:g}", "write the lower one first, as in (0, 1)")
    return Bounds(low, high)


class FeaturesAndLogits(NamedTuple):
    """The features and logits of samples under a network.

    Args:
        features: `(n, features)`.
        logits: of its classes, `(n, classes)`.
    """

    features: Tensor
    logits: Tensor


def as_bytes(images: Tensor) -> Tensor:
    """Images in [-1, 1] as uint8, rounded half up, as image files hold them."""
    return ((images.clamp(-1, 1) + 1) * 127.5 + 0.5).floor().clamp(0, 255).to(torch.uint8)
