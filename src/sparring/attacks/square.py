"""Square attack: a random search that changes one window of an image at a time, from values of the loss alone.

Every perturbation tried lies on the surface of the ball. The window's share of the image shrinks with the queries: p
halves at 10, 50, 200, 1000, 2000, 4000, 6000 and 8000 of 10000 queries, in proportion for other numbers of them.

Samples that are not images `(channels, height, width)` are treated as one row of pixels. Windows larger than the image
are cropped to it.

Source: Andriushchenko et al. 2020, algorithms 1 to 3.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Annotated, ClassVar, NamedTuple, final

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor

from sparring.attacks.base import Epsilon, batch_axes_of
from sparring.attacks.search import BestProposal, Propose
from sparring.core.balls import L2, Ball, Linf
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import Samples, Space

_HALVINGS = (10, 50, 200, 1000, 2000, 4000, 6000, 8000)
_TINY = 1e-12

Images = Float[Tensor, "*batch channels height width"]


class SquareAttack(BestProposal):
    """Random windows of the image, each kept where it raises the loss.

    Args:
        queries: evaluations of the loss.
        share: p, of the image, that the first windows cover.

    Attributes:
        edge: the ball whose surface is searched; `ball` must equal it.
        smallest: pixels on a side of the last windows.
    """

    edge: ClassVar[Ball]
    smallest: ClassVar[int] = 1
    queries: Count = 1000
    share: Annotated[float, Field(gt=0, le=1)] = 0.8

    @model_validator(mode="after")
    def _searches_its_own_edge(self) -> SquareAttack:
        if self.ball != self.edge:
            raise ValueError(f"ball: {self.name} needs {self.edge.name}; there are square and square_l2")
        return self

    @final
    def proposals(self) -> int:
        return self.queries

    def window(self, query: int, like: Images) -> tuple[int, int]:
        """The height and width of this query's windows."""
        height, width = like.shape[-2:]
        side = max(self.smallest, round(math.sqrt(self.share_at(query) * height * width)))
        return min(side, height), min(side, width)

    def share_at(self, query: int) -> float:
        """p at this query."""
        return self.share / 2.0 ** sum(query * 10_000 >= halving * self.queries for halving in _HALVINGS)


@piece("square")
class SquareLinf(SquareAttack):
    """Windows of +-epsilon, one sign a channel, on stripes of +-epsilon (Andriushchenko et al. 2020, algorithm 2)."""

    edge: ClassVar[Ball] = Linf()
    epsilon: Epsilon = 8 / 255

    def proposer(self, x: Samples, *, space: Space, rng: Rng) -> Propose:
        radius = self.epsilon * space.width
        low, high = (_images(self.confine(x, x + edge, space), space) for edge in (-radius, radius))
        low_pixels, high_pixels = low.flatten(-2), high.flatten(-2)

        def propose(number: int, best: Samples) -> Samples:
            if number == 0:
                stripes = _heads((*low.shape[:-2], 1, low.shape[-1]), low, rng)
                return torch.where(stripes, high, low).reshape(x.shape)
            colour = _heads((*low.shape[:-2], 1), low, rng)
            inside = _Place.draw(low, self.window(number, low), rng).pixels
            changed = torch.where(colour, high_pixels.gather(-1, inside), low_pixels.gather(-1, inside))
            return best.reshape(low_pixels.shape).scatter(-1, inside, changed).reshape(x.shape)

        return propose


@piece("square_l2")
class SquareL2(SquareAttack):
    """Windows that take over the L2 mass of others, as two bumps of unlike sign (algorithm 3)."""

    edge: ClassVar[Ball] = L2()
    smallest: ClassVar[int] = 2  # one pixel has no room for two bumps
    epsilon: Epsilon = 0.5
    ball: Ball = L2()

    def proposer(self, x: Samples, *, space: Space, rng: Rng) -> Propose:
        images, radius = _images(x, space), self.epsilon * space.width

        def propose(number: int, best: Samples) -> Samples:
            delta = _images(best, space) - images
            if number == 0:
                moved = self.first(delta, radius, rng=rng)
            else:
                moved = self.change(delta, self.window(number, images), radius, rng=rng)
            return self.confine(x, x + moved.reshape(x.shape), space)

        return propose

    def first(self, like: Images, radius: float, *, rng: Rng) -> Images:
        """The initial perturbation."""
        height, width = (max(extent // 5, 1) for extent in like.shape[-2:])
        rows, columns = (torch.arange(extent, device=like.device) for extent in like.shape[-2:])
        tile = _bumps(height, width, like.device).to(like)[rows[:, None] % height, columns % width]
        last_row, last_column = (extent - 1 for extent in like.shape[-2:])
        tiles = (*like.shape[:-2], last_row // height + 1, last_column // width + 1)
        delta = tile * _signs(tiles, like, rng)[..., rows[:, None] // height, columns // width]
        return self.ball.steepest(delta, radius, like.dim() - 3)

    def change(self, delta: Images, window: tuple[int, int], radius: float, *, rng: Rng) -> Images:
        """The perturbation with one window of this height and width changed."""
        new, old = (_Place.draw(delta, window, rng) for _ in range(2))
        upright = rng.integers((*delta.shape[:-3], 1, 1, 1), 2).to(delta.device) > 0
        lying, standing = (_bumps(*sides, delta.device) for sides in (window, window[::-1]))
        bumps = torch.where(upright, new.paste(standing.T), new.paste(lying))
        unused = (radius**2 - delta.square().sum((-3, -2, -1), keepdim=True)).clamp(min=0) / delta.shape[-3]
        taken = torch.where(new.inside | old.inside, delta, 0.0).square().sum((-2, -1), keepdim=True)
        shape = _unit(
            _signs((*delta.shape[:-2], 1, 1), delta, rng) * bumps + _unit(torch.where(new.inside, delta, 0.0))
        )
        emptied = torch.where(old.inside, 0.0, delta)
        return torch.where(new.inside, shape * (taken + unused).sqrt(), emptied)


class _Place(NamedTuple):
    """A window's place in every image.

    Args:
        top: the number of its first row.
        left: the number of its first column.
        window: the window's height and width.
        like: images, for their sides and type.
    """

    top: Int[Tensor, "*batch 1"]
    left: Int[Tensor, "*batch 1"]
    window: tuple[int, int]
    like: Images

    @classmethod
    def draw(cls, like: Images, window: tuple[int, int], rng: Rng) -> _Place:
        """Uniform among the places where the window fits."""
        top, left = (
            rng.integers((*like.shape[:-3], 1), extent - size + 1).to(like.device)
            for extent, size in zip(like.shape[-2:], window, strict=True)
        )
        return cls(top, left, window, like)

    @property
    def inside(self) -> Bool[Tensor, "*batch 1 height width"]:
        """Which pixels are the window's."""
        (height, width), device = self.like.shape[-2:], self.like.device
        rows = _covered(height, self.window[0], device)[self.top]
        columns = _covered(width, self.window[1], device)[self.left]
        return rows.unsqueeze(-1) & columns.unsqueeze(-2)

    @property
    def pixels(self) -> Int[Tensor, "*batch channels pixels"]:
        """The numbers of the window's pixels in every channel, row by row."""
        across = self.like.shape[-1]
        numbers = self.top * across + self.left + _corner_pixels(self.window, across, self.like.device)
        return numbers.unsqueeze(-2).expand(*self.like.shape[:-2], -1)

    def paste(self, pattern: Float[Tensor, "rows columns"]) -> Float[Tensor, "*batch 1 height width"]:
        """The pattern in the window, zero around it."""
        height, width = (torch.arange(extent, device=self.like.device) for extent in self.like.shape[-2:])
        rows = (height - self.top).clamp(0, self.window[0] - 1)
        columns = (width - self.left).clamp(0, self.window[1] - 1)
        pasted = pattern.to(self.like)[rows[..., :, None], columns[..., None, :]].unsqueeze(-3)
        return torch.where(self.inside, pasted, 0.0)


@lru_cache(maxsize=32)
def _covered(extent: int, size: int, device: torch.device) -> Bool[Tensor, "places extent"]:
    """Which of the pixels along a side a window covers, at each of its places; the same for many queries."""
    numbers = torch.arange(extent, device=device) - torch.arange(extent - size + 1, device=device)[:, None]
    return (numbers >= 0) & (numbers < size)


@lru_cache(maxsize=32)
def _corner_pixels(window: tuple[int, int], across: int, device: torch.device) -> Int[Tensor, " pixels"]:
    """The numbers of the pixels of a window in the first corner of images so many pixels across."""
    rows, columns = (torch.arange(size, device=device) for size in window)
    return (rows[:, None] * across + columns).flatten()


def _bumps(height: int, width: int, device: torch.device) -> Float[Tensor, "height width"]:
    """A bump on the left and its negative on the right, of Euclidean size 1."""
    left = width // 2
    return _unit(torch.cat([_bump(height, left, device), -_bump(height, width - left, device)], dim=1))


def _bump(height: int, width: int, device: torch.device) -> Float[Tensor, "height width"]:
    """sum_{k = d}^n 1 / (k + 1)^2, d = the distance from the middle, n = the longer side's half: equation (2)."""
    half = max(height, width) // 2
    tail = (1.0 / torch.arange(1, half + 2, device=device).square()).flip(0).cumsum(0).flip(0)
    rows, columns = ((torch.arange(extent, device=device) - extent // 2).abs() for extent in (height, width))
    return tail[torch.maximum(rows[:, None], columns)]


def _unit(images: Samples) -> Samples:
    size: Samples = torch.linalg.vector_norm(images, dim=(-2, -1), keepdim=True)
    return images / size.clamp(min=_TINY)


def _images(samples: Samples, space: Space) -> Images:
    """Samples as images; others than images as one row of pixels."""
    shape = space.shape if len(space.shape) == 3 else (1, 1, math.prod(space.shape))
    return samples.reshape(*samples.shape[: batch_axes_of(samples, space)], *shape)


def _heads(shape: tuple[int, ...], like: Images, rng: Rng) -> Tensor:
    """Fair coins, true or false."""
    return rng.integers(shape, 2).to(like.device) > 0


def _signs(shape: tuple[int, ...], like: Images, rng: Rng) -> Samples:
    return torch.where(_heads(shape, like, rng), 1.0, -1.0).to(like)
