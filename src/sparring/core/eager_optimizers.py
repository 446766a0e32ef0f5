"""Optimizers of torch without its compiler.

`torch.optim` imports `torch._dynamo` with the first optimizer, to let `torch.compile` skip parts of it. That import
takes seconds. The classes here are those of `torch.optim` without it: the same steps to the bit, the same state, and no
step of them can be compiled.
"""

from __future__ import annotations

from inspect import unwrap
from typing import Any

import torch
from torch.optim import SGD, Adam, AdamW, Optimizer


class EagerOptimizer(Optimizer):
    """The methods of every optimizer."""

    add_param_group = unwrap(Optimizer.add_param_group)
    state_dict = unwrap(Optimizer.state_dict)
    load_state_dict = unwrap(Optimizer.load_state_dict)
    zero_grad = unwrap(Optimizer.zero_grad)


class EagerAdam(EagerOptimizer, Adam):
    """`torch.optim.Adam`."""

    @torch.no_grad()
    def step(self, closure: None = None) -> Any:  # type: ignore[override]
        """One step along the gradients."""
        return _ADAM(self, closure)


class EagerAdamW(EagerOptimizer, AdamW):
    """`torch.optim.AdamW`."""

    @torch.no_grad()
    def step(self, closure: None = None) -> Any:  # type: ignore[override]
        """One step along the gradients."""
        return _ADAMW(self, closure)


class EagerSGD(EagerOptimizer, SGD):
    """`torch.optim.SGD`."""

    @torch.no_grad()
    def step(self, closure: None = None) -> Any:  # type: ignore[override]
        """One step along the gradients."""
        return _SGD(self, closure)


_ADAM, _ADAMW, _SGD = (unwrap(kind.step) for kind in (Adam, AdamW, SGD))
