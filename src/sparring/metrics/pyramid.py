"""Laplacian pyramids of images, and small patches of them.

Source: Burt and Adelson, The Laplacian Pyramid as a Compact Image Code, 1983; patches as in Karras et al., Progressive
Growing of GANs, 2018, section 5.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from sparring.core.randomness import Rng

PATCH = 7
"""The side of a patch, in pixels."""
COARSEST = 16
"""No level but the first has a side under it."""

Images = Float[Tensor, "n channels height width"]

_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def level_count(height: int, width: int) -> int:
    """How many levels images of a size have: the side is halved as long as it is 16 or more."""
    side, levels = min(height, width), 1
    while side // 2 >= COARSEST:
        side, levels = side // 2, levels + 1
    return levels


def laplacian_pyramid(images: Images, levels: int) -> list[Tensor]:
    """Every level is what the next one, enlarged, lacks of the image; the last one is the smallest image itself.

    Images are blurred by the binomial filter (1, 4, 6, 4, 1)/16 in rows and columns, mirrored at the border, before
    every second pixel is taken, and after zeros are put between pixels.

    Args:
        images: `(n, channels, height, width)`.
        levels: at least 1.

    Returns:
        The finest level first; level l has the side of the image over 2^l, rounded up.
    """
    pyramid: list[Tensor] = []
    for _ in range(levels - 1):
        smaller = _blurred(images)[..., ::2, ::2]
        enlarged = torch.zeros_like(images)
        enlarged[..., ::2, ::2] = 4 * smaller
        pyramid.append(images - _blurred(enlarged))
        images = smaller
    return [*pyramid, images]


def patches(images: Images, count: int, *, rng: Rng) -> Float[Tensor, "patches values"]:
    """Patches of 7 x 7 pixels at random places of every image, each channel with mean 0 and standard deviation 1.

    Mean and deviation are over all pixels of all patches; a channel of one value is 0.

    Args:
        images: `(n, channels, height, width)`, with sides of 7 or more.
        count: patches an image.
        rng: draws the places.

    Returns:
        `(n * count, 49 * channels)`.
    """
    tops = rng.integers((len(images) * count,), images.shape[-2] - PATCH + 1)
    lefts = rng.integers((len(images) * count,), images.shape[-1] - PATCH + 1)
    number = torch.arange(len(images), device=images.device).repeat_interleave(count)
    found = images.unfold(2, PATCH, 1).unfold(3, PATCH, 1)[number, :, tops, lefts]
    deviation, mean = torch.std_mean(found, dim=(0, 2, 3), correction=0, keepdim=True)
    return ((found - mean) / deviation.clamp(min=torch.finfo(found.dtype).tiny)).flatten(1)


def _blurred(images: Images) -> Tensor:
    padded = F.pad(images, (2, 2, 2, 2), mode="reflect")
    return _filtered(_filtered(padded, dim=2), dim=3)


def _filtered(images: Tensor, dim: int) -> Tensor:
    """The binomial filter along rows or columns, which are four fewer after it."""
    length = images.shape[dim] - len(_BINOMIAL) + 1
    found = torch.zeros_like(images.narrow(dim, 0, length))
    for place, weight in enumerate(_BINOMIAL):
        found.add_(images.narrow(dim, place, length), alpha=weight)
    return found
