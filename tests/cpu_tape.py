"""A tape for the CPU that is as strict as a CUDA graph: what it captured is a list of operations on fixed memory.

Every operation is kept with the very tensors that it read and wrote, and a replay does the list again: numbers that
Python held are those of the capture, and whatever a round shall see anew must stand in memory that it reads. Capturing
has no effect on memory that was there before. Numbers that leave the device, and torch's generators, are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_READS = {"_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero"}
_RUNNING = {"native_batch_norm": (3, 4)}
"""Arguments that an operation writes without saying so in its schema."""


class CpuTape:
    """Records on the CPU.

    Attributes:
        captures: how often it was asked to.
        replays: how often what it captured was done.
    """

    def __init__(self) -> None:
        self.captures = self.replays = 0

    def aside(self, work: Callable[[], None]) -> None:
        work()

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        self.captures += 1
        operations = _Operations()
        try:
            with operations, _AsOnCuda():
                work()
        finally:
            operations.undo()

        def replay() -> None:
            self.replays += 1
            operations.replay()

        return replay

    def random_state(self) -> Tensor:
        return torch.get_rng_state()


class _Operations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self._done: list[tuple[Any, Any, Any, Any]] = []
        self._made: set[int] = set()
        self._before: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name, kwargs = func.overloadpacket.__name__, kwargs or {}
        if name in _READS or kwargs.get("generator") is not None:
            raise RuntimeError(f"{name}: not permitted while capturing")
        self._keep(func, name, args, kwargs)
        read = {tensor.untyped_storage().data_ptr() for tensor in _tensors((args, kwargs))}
        out = func(*args, **kwargs)
        self._made |= {tensor.untyped_storage().data_ptr() for tensor in _tensors(out)} - read
        self._done.append((func, args, kwargs, out))
        return out

    def _keep(self, func: Any, name: str, args: Any, kwargs: Any) -> None:
        """Remember what stands in memory that an operation is about to write, if it was there before."""
        told = [(each, args[at] if at < len(args) else kwargs.get(each.name)) for at, each in enumerate(_schema(func))]
        written = [value for each, value in told if each.alias_info is not None and each.alias_info.is_write]
        written += [args[at] for at in _RUNNING.get(name, ())]
        for tensor in _tensors(written):
            place = tensor.untyped_storage().data_ptr()
            if place not in self._made and place not in self._before:
                whole = torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage())
                self._before[place] = whole, whole.clone()

    def undo(self) -> None:
        for whole, before in self._before.values():
            whole.copy_(before)

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, out in self._done:
            for held, new in zip(_tensors(out), _tensors(func(*args, **kwargs)), strict=True):
                if held.data_ptr() != new.data_ptr():
                    held.copy_(new)


class _AsOnCuda(TorchFunctionMode):
    """One-hot classes without the look at the labels that the CPU alone takes."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.nn.functional.one_hot:
            labels, classes = args
            return (labels.unsqueeze(-1) == torch.arange(classes)).long()
        return func(*args, **(kwargs or {}))


def _schema(func: Any) -> Any:
    return func._schema.arguments


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
