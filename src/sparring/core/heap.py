"""What the C library does with memory that is freed."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # as malloc.h has them
_LARGE = 1 << 30  # bytes; hardly a tensor of a round on a CPU is larger
_LARGEST_MAPPED = 32 << 20  # what glibc allowed at most before 2.35


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, where the C library is glibc; elsewhere nothing changes.

    A round allocates the same large tensors as the one before it. Memory that goes back to the system in between is
    mapped and zeroed again, page by page: a tenth of the time of a round with large activations.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # Any of both freezes the other, so that a threshold for trimming alone would have every larger tensor mapped anew.
    if mallopt and any(mallopt(_M_MMAP_THRESHOLD, size) for size in (_LARGE, _LARGEST_MAPPED)):
        mallopt(_M_TRIM_THRESHOLD, _LARGE)
