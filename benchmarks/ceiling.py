"""The ceiling: multiply-adds a second of the machine on nothing but a matrix product or a convolution.

The better of the two rates, each the best of a few runs, on as many threads as torch is set to.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F

from benchmarks.timing import Work, awaited, billions
from sparring.core.randomness import Rng

Precision = Literal["fp32", "tf32", "bf16"]
Ceiling = Mapping[Precision, float]
"""Billions of multiply-adds a second."""

_RUNS = 7
_CPU = torch.device("cpu")


class _Sizes(NamedTuple):
    """Side of the square matrices, and shape of the images."""

    side: int
    images: tuple[int, int, int, int]


_SIZES: Mapping[str, _Sizes] = {"cpu": _Sizes(1024, (16, 128, 32, 32)), "cuda": _Sizes(8192, (512, 256, 32, 32))}
_PRECISIONS: Mapping[str, tuple[Precision, ...]] = {"cpu": ("fp32", "bf16"), "cuda": ("fp32", "tf32", "bf16")}


@torch.no_grad()
def measured_ceiling(device: torch.device = _CPU) -> Ceiling:
    """The rates of this machine's CPU or GPU."""
    return {each: _best_rate(each, device) for each in _PRECISIONS[device.type]}


def _best_rate(precision: Precision, device: torch.device) -> float:
    with _products_in(precision):
        return max(map(_rate, _works(torch.bfloat16 if precision == "bf16" else torch.float32, device)))


@contextmanager
def _products_in(precision: Precision) -> Iterator[None]:
    """Allow TF32 on a GPU inside the block, or forbid it."""
    switches: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = precision == "tf32"
        yield
    finally:
        for switch, was in zip(switches, before, strict=True):
            switch.allow_tf32 = was


def _works(dtype: torch.dtype, device: torch.device) -> list[Work]:
    side, shape = _SIZES[device.type]
    matrix = Rng.of(0, device).normal((side, side)).to(dtype)
    images = Rng.of(1, device).normal(shape).to(dtype, memory_format=torch.channels_last)
    channels = shape[1]
    kernel = Rng.of(2, device).normal((channels, channels, 3, 3)).to(dtype, memory_format=torch.channels_last)
    works: list[Work] = [partial(torch.matmul, matrix, matrix), partial(F.conv2d, images, kernel, padding=1)]
    return [awaited(work, device) for work in works]


def _rate(work: Work) -> float:
    counted, best = billions(work), float("inf")
    for _ in range(_RUNS):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return counted / best
