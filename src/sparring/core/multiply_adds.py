"""Counts of multiply-adds: those of matrix products and convolutions, forward and backward, by torch's own formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, register_flop_formula


def multiply_adds(work: Callable[[], object]) -> int:
    """The multiply-adds of one run of the work."""
    with _OperationCounter() as counter:
        work()
    count: int = counter.operations // 2  # a multiply-add counts as two operations
    return count


def _of_a_linear_layer(x: torch.Size, weight: torch.Size, *_: Any, **__: Any) -> int:
    return 2 * x.numel() * weight[0]


if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
    register_flop_formula(torch.ops.mkldnn._linear_pointwise)(_of_a_linear_layer)


class _OperationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up torch's own operation counts; its FlopCounterMode refuses gradients with respect to samples."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func.overloadpacket)
        self.operations += count(*args, **(kwargs or {}), out_val=out) if count else 0
        return out
