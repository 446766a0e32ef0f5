"""Work timed in turns, A B A B, so that whatever else the machine does falls on all alike; and how much work it is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, register_flop_formula

Work = Callable[[], object]
Played = Callable[[int, int], None]


class Ratio(NamedTuple):
    """How many times as fast as a reference: the median over turns, and the quartiles."""

    median: float
    low: float
    high: float


def awaited(work: Work, device: torch.device) -> Callable[[], None]:
    """The work, to its end on the device."""

    def to_the_end() -> None:
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return to_the_end


def seconds_in_turns(works: Sequence[Work], turns: int, *, played: Played | None = None) -> list[list[float]]:
    """Seconds of every work in every turn.

    Args:
        works: each is run once a turn; what it waits for is its own affair.
        turns: how often.
        played: told of every turn.
    """
    seconds: list[list[float]] = [[] for _ in works]
    for turn in range(turns):
        for work, spent in zip(works, seconds, strict=True):
            began = time.perf_counter()
            work()
            spent.append(time.perf_counter() - began)
        if played:
            played(turn + 1, turns)
    return seconds


def ratio_of(reference: Sequence[float], seconds: Sequence[float]) -> Ratio:
    """The ratios of both, turn by turn."""
    ratios = [theirs / mine for theirs, mine in zip(reference, seconds, strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    return Ratio(middle, low, high)


def billions(work: Work) -> float:
    """The multiply-adds of one run, in billions: products of matrices and convolutions, forward and backward."""
    with _Counting() as counter:
        work()
    found: float = counter.operations / 2e9  # a multiply-add counts as two operations
    return found


def _of_a_linear_layer(x: torch.Size, weight: torch.Size, *_: Any, **__: Any) -> int:
    return 2 * x.numel() * weight[0]


if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
    register_flop_formula(torch.ops.mkldnn._linear_pointwise)(_of_a_linear_layer)


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up torch's own operation counts; its FlopCounterMode refuses gradients of leaves, which attacks take."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func.overloadpacket)
        self.operations += count(*args, **(kwargs or {}), out_val=out) if count else 0
        return out
