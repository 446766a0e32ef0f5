"""Time works in turns, A B A B, so that other load affects all alike; and count their multiply-adds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, register_flop_formula

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
    """The multiply-adds of one run, in billions: products of matrices and convolutions, forward and backward."""
    with _Counting() as counter:
        work()
    count: float = counter.operations / 2e9  # a multiply-add counts as two operations
    return count


def _of_a_linear_layer(x: torch.Size, weight: torch.Size, *_: Any, **__: Any) -> int:
    return 2 * x.numel() * weight[0]


if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
    register_flop_formula(torch.ops.mkldnn._linear_pointwise)(_of_a_linear_layer)


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up torch's own operation counts; FlopCounterMode refuses the gradients that attacks take."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func.overloadpacket)
        self.operations += count(*args, **(kwargs or {}), out_val=out) if count else 0
        return out
