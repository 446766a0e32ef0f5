"""Time works in turns, A B A B, so that other load affects all alike; and count their multiply-adds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch

from sparring.core.multiply_adds import multiply_adds

Work = Callable[[], object]


class Ratio(NamedTuple):
    """How many times as fast as a reference: the median over turns, and the quartiles."""

    median: float
    low: float
    high: float


def awaited(work: Work, device: torch.device) -> Callable[[], None]:
    """The work, with a synchronisation of the device at its end."""

    def synchronised() -> None:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return synchronised


def seconds_in_turns(works: Sequence[Work], turns: int) -> list[list[float]]:
    """Seconds of every work in every turn.

    Args:
        works: each is run once a turn.
        turns: how often.
    """
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(turns):
        for work, spent in zip(works, seconds, strict=True):
            began = time.perf_counter()
            work()
            spent.append(time.perf_counter() - began)
    return seconds


def ratio_of(reference: Sequence[float], seconds: Sequence[float]) -> Ratio:
    """The ratios of both, turn by turn."""
    ratios = [first / second for first, second in zip(reference, seconds, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    return Ratio(middle, low, high)


def billions(work: Work) -> float:
    """The multiply-adds of one run, in billions."""
    return multiply_adds(work) / 1e9
