"""The ceiling: what the machine does in this process on nothing but products of matrices and convolutions.

The better of both rates, each the best of a few runs, on as many threads as torch is set to.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F

from sparring.bench.timing import Work, billions
from sparring.randomness import Rng

Precision = Literal["fp32", "bf16"]
Ceiling = Mapping[Precision, float]
"""Billions of multiply-adds a second."""

_RUNS = 7
_SIDE = 1024
_IMAGES = (16, 128, 32, 32)
_DTYPES: Mapping[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


@torch.no_grad()
def measured_ceiling() -> Ceiling:
    """The rates of this machine, now."""
    return {precision: max(map(_rate, _works(dtype))) for precision, dtype in _DTYPES.items()}


def _works(dtype: torch.dtype) -> list[Work]:
    matrix = Rng.of(0).normal((_SIDE, _SIDE)).to(dtype)
    images = Rng.of(1).normal(_IMAGES).to(dtype, memory_format=torch.channels_last)
    channels = _IMAGES[1]
    kernel = Rng.of(2).normal((channels, channels, 3, 3)).to(dtype, memory_format=torch.channels_last)
    return [partial(torch.matmul, matrix, matrix), partial(F.conv2d, images, kernel, padding=1)]


def _rate(work: Work) -> float:
    counted, best = billions(work), float("inf")
    for _ in range(_RUNS):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return counted / best
