"""Work on a GPU as a CUDA graph: captured once, launched as a whole at every replay.

Everything runs on one stream aside from the current one, before the capture and in it, as PyTorch's notes on CUDA
graphs ask: what the first passes set up belongs to that stream. Replays run on the current stream. Tests of it want a
GPU; elsewhere one that is as strict stands in for it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class CudaTape:
    """Records on one GPU.

    Args:
        device: which.
    """

    def __init__(self, device: torch.device) -> None:
        self._device, self._stream = device, torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def aside(self, work: Callable[[], None]) -> None:
        """Do the work on the stream that captures, after what came before it and before what comes next."""
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            work()
        current.wait_stream(self._stream)

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Capture the work, which does not run; what is returned launches it.

        After a capture that fails torch may keep the memory of its pool, and, in some versions, refuse draws from its
        own generator on this device for as long as the process lives; this library draws nothing from that.

        Raises:
            RuntimeError: it waits for the device, or does what else cannot be captured.
        """
        graph, current = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._device)
        # The outer block gives the current stream back even if the end of a failed capture raises.
        with torch.cuda.stream(current), torch.cuda.graph(graph, stream=self._stream):
            work()
        return graph.replay

    def random_state(self) -> Tensor:
        """The state of torch's own generator on the GPU, which the host keeps."""
        return torch.cuda.get_rng_state(self._device)
