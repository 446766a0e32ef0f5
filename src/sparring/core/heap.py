"""Keep freed memory in the process instead of returning it to the system."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_LARGE = 1 << 30  # bytes; larger than nearly every tensor of a round on a CPU
_LARGEST_MAPPED = 32 << 20  # the limit of glibc before 2.35


def keep_freed_memory() -> None:
    """Keep memory that this process frees, under glibc; no effect with other C libraries.

    Every round allocates the same large tensors. Memory returned to the system in between is mapped and zeroed again,
    page by page: a tenth of the time of a round with large activations.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    # Setting either threshold stops glibc from adapting the other: trimming alone would map every larger tensor anew.
    if mallopt and any(mallopt(_M_MMAP_THRESHOLD, size) for size in (_LARGE, _LARGEST_MAPPED)):
        mallopt(_M_TRIM_THRESHOLD, _LARGE)
