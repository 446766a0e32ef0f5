"""Data parallelism: the processes that `torchrun` started train one GAN, each on its part of every batch.

Every rank holds all weights. Random numbers are drawn for the whole batch, and each rank takes its part of them.
Gradients are averaged before each optimizer step, those of penalties too, so all ranks hold the same weights, equal to
those of a single process up to rounding. Batch normalisation sees a rank's own part; its running statistics are
averaged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from sparring.core.errors import SparringError, UsageError
from sparring.core.process import process_count, rank
from sparring.core.randomness import WHOLE, Part

_PATIENCE = timedelta(hours=2)
"""How long a rank waits for the others: the first one measures and saves while they wait."""


class ProcessGroup:
    """The processes that train together; by default this one alone.

    Args:
        part: of every batch that is this rank's own.
        device: of its tensors.
    """

    def __init__(self, part: Part = WHOLE, device: torch.device | None = None) -> None:
        self.part, self._device = part, device

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that owns the run folder, measures and reports."""
        return self.part.rank == 0

    def share(self, batch_size: int) -> int:
        """The number of samples of a batch of this size that are this rank's own.

        Raises:
            UsageError: the batch cannot be split evenly into at least two samples each.
        """
        size, left = divmod(batch_size, self.part.of)
        if left:
            raise UsageError(
                f"batch_size = {batch_size} does not split evenly over {self.part.of} processes",
                f"make it a multiple of {self.part.of}",
            )
        if size == 1 < self.part.of:  # a draw whose first axis is one is the same on all ranks
            raise UsageError(
                f"batch_size = {batch_size} leaves a single sample to each of {self.part.of} processes",
                f"make it at least {2 * self.part.of}, or start fewer",
            )
        return size

    @torch.no_grad()
    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace every tensor by its mean over the ranks; bitwise equal on all of them.

        Args:
            tensors: same dtype, count and shapes on every rank.

        Raises:
            SparringError: another process has ended.
        """
        if self.part.of == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        self._reduce(flat, dist.ReduceOp.SUM)
        flat /= self.part.of
        for tensor, mean in zip(tensors, torch.split(flat, [tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view(tensor.shape))

    def average_buffers(self, module: nn.Module) -> None:
        """Replace the floating-point buffers of a network by their means over the ranks."""
        if self.part.of > 1:
            self.average([buffer for buffer in module.buffers() if buffer.is_floating_point()])

    def maximum(self, number: int) -> int:
        """The greatest of the numbers that the ranks pass.

        Raises:
            SparringError: another process has ended.
        """
        if self.part.of == 1:
            return number
        greatest = torch.tensor(number, device=self._device)
        self._reduce(greatest, dist.ReduceOp.MAX)
        return int(greatest)

    def _reduce(self, tensor: Tensor, operation: dist.ReduceOp.RedOpType) -> None:
        try:
            dist.all_reduce(tensor, operation)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise SparringError(
                f"process {self.part.rank} of {self.part.of}: another process has ended ({reason})",
                "see its error; then `sparring resume` the run with as many processes",
            ) from None


SINGLE = ProcessGroup()


@contextmanager
def process_group(device: str) -> Iterator[tuple[ProcessGroup, str]]:
    """The process group that `torchrun` started, for the block, and the device of this rank; `SINGLE` without it.

    Args:
        device: `cpu`, `cuda`, or `auto`: a GPU for every process, where there are as many.
    """
    if process_count() == 1:
        yield SINGLE, device
        return
    place = _place(device)
    dist.init_process_group("nccl" if place.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield ProcessGroup(Part(rank(), process_count()), place), str(place)
    finally:
        dist.destroy_process_group()


def _place(device: str) -> torch.device:
    """The device of this rank; every process of a machine needs a GPU of its own."""
    if not {"RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE"} <= os.environ.keys():
        raise UsageError(f"WORLD_SIZE={process_count()} without the ranks of its processes", "start with torchrun")
    processes, gpus = int(os.environ["LOCAL_WORLD_SIZE"]), torch.cuda.device_count()
    if device == "cpu" or (device == "auto" and gpus < processes):
        return torch.device("cpu")
    if device not in ("auto", "cuda") or gpus < processes:
        raise UsageError(
            f"device {device!r}: {processes} processes on this machine need a GPU each, and there are {gpus}",
            "use auto or cpu, or start fewer",
        )
    place = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    torch.cuda.set_device(place)
    return place
