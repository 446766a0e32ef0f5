"""A stranger's recipe names networks of any size: they are built in no more room than the saved tensors warrant.

Names, shapes and types are compared with networks that exist; what is compared after that has had its memory.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from sparring.core.errors import CorruptInput

_FACTOR, _FREE = 4, 1 << 24
"""Numbers that building may take for each that was saved, as layers and their initial weights do; and in any case."""
_MAKERS = (torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn)
"""What layers and random streams make their tensors with."""


class Allowance(TorchFunctionMode):
    """A block in which the tensors that are made may have so many numbers in all.

    Args:
        file: what the tensors are saved in.
        saved: the tensors that what is built must agree with.

    Raises:
        CorruptInput: within the block, before the memory of one tensor too many is taken.
    """

    def __init__(self, file: Path, saved: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._file = file
        self._saved = sum(tensor.numel() for tensor in saved.values())
        self._left = _FREE + _FACTOR * self._saved

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _MAKERS and args:
            self._left -= math.prod(args if isinstance(args[0], int) else args[0])
        if self._left < 0:
            told = f"{self._file}: {self._saved:,} numbers, far fewer than the networks of the recipe have"
            raise CorruptInput(told, "restore the checkpoint of this very run")
        return func(*args, **(kwargs or {}))
