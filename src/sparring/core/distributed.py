"""The processes that play one game together, each on a device and a part of every batch; mostly there is one.

Every process holds the whole game. What a round draws, it draws for the whole batch and takes its part of; gradients
are averaged before each optimizer step, whatever they were gathered from (a penalty of its own backward pass among it).
So all hold the same weights, and the game is that of one process, up to rounding. Batch normalisation is of each
process's own part; its running statistics are averaged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sparring.core.errors import SparringError, UsageError
from sparring.core.processes import count, local_count, local_rank, rank
from sparring.core.randomness import Part

_PATIENCE = timedelta(hours=2)
"""How long a process waits for the others: the first one measures and saves while they wait."""


class ProcessGroup(ABC):
    """The processes of a game, as one of them sees them.

    Attributes:
        part: of every batch that is its own.
    """

    part: Part

    @property
    def is_first(self) -> bool:
        """Whether this is the process that owns the run folder, measures and tells."""
        return self.part.rank == 0

    def share(self, batch_size: int) -> int:
        """How many samples of a batch of this size are this process's own.

        Raises:
            UsageError: the batch cannot be split evenly.
        """
        size, left = divmod(batch_size, self.part.of)
        if left:
            raise UsageError(
                f"batch_size = {batch_size} does not split evenly over {self.part.of} processes",
                f"make it a multiple of {self.part.of}",
            )
        return size

    @abstractmethod
    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over the processes into every tensor, in place; the same bits in all of them.

        Args:
            tensors: of one type, and as many and of the same shapes in every process.

        Raises:
            SparringError: another process is gone.
        """

    @abstractmethod
    def maximum(self, number: int) -> int:
        """The greatest of the numbers that the processes name.

        Raises:
            SparringError: another process is gone.
        """

    def average_buffers(self, module: nn.Module) -> None:
        """Put the mean over the processes into the floating-point buffers of a network."""
        self.average([buffer for buffer in module.buffers() if buffer.is_floating_point()])


class SingleProcess(ProcessGroup):
    """One process, which plays all of the game."""

    part = Part()

    def average(self, tensors: Sequence[Tensor]) -> None:
        pass

    def average_buffers(self, module: nn.Module) -> None:
        pass

    def maximum(self, number: int) -> int:
        return number


SINGLE = SingleProcess()


class SeveralProcesses(ProcessGroup):
    """One of several processes.

    Args:
        part: its own.
        device: where its tensors are.
    """

    def __init__(self, part: Part, device: torch.device) -> None:
        self.part, self._device = part, device

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        if not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self._reduce(flat, dist.ReduceOp.SUM)
        flat /= self.part.of
        for tensor, mean in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view(tensor.shape))

    def maximum(self, number: int) -> int:
        told = torch.tensor(number, device=self._device)
        self._reduce(told, dist.ReduceOp.MAX)
        return int(told)

    def _reduce(self, tensor: Tensor, operation: dist.ReduceOp.RedOpType) -> None:
        try:
            dist.all_reduce(tensor, operation)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise SparringError(
                f"process {self.part.rank} of {self.part.of}: another process of the game is gone ({reason})",
                "see what that one says; then `sparring resume` the run with as many processes",
            ) from None


@contextmanager
def process_group(device: str) -> Iterator[tuple[ProcessGroup, str]]:
    """The processes that `torchrun` started, gathered for the block, and this one's device; alone without `torchrun`.

    Args:
        device: `cpu`, `cuda`, or `auto`: a GPU for every process, where there are as many.
    """
    if count() == 1:
        yield SINGLE, device
        return
    place = _place(device, local_rank(), local_count())
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield SeveralProcesses(Part(rank(), count()), place), str(place)
    finally:
        dist.destroy_process_group()


def _place(device: str, number: int, processes: int) -> torch.device:
    there = torch.cuda.device_count()
    if device == "cpu" or (device == "auto" and there < processes):
        return torch.device("cpu")
    if device not in ("auto", "cuda") or there < processes:
        raise UsageError(
            f"device {device!r}: {processes} processes on this machine want a GPU each, and there are {there}",
            "use auto or cpu, or start fewer",
        )
    torch.cuda.set_device(number)
    return torch.device("cuda", number)
