"""Numbers that are a function of a key alone: seeds of streams, and the bits that counter-based draws are made of."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor

GOLDEN = -7046029254386353131  # 2^64 / golden ratio, as a signed 64-bit number


def derive(seed: int, name: str, number: int) -> int:
    """A 63-bit seed for the stream `name` at `number`, independent for unlike arguments."""
    digest = hashlib.blake2b(f"{seed}/{name}/{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def hashed_uniform(key: Tensor, count: int) -> Tensor:
    """`count` numbers in [0, 1) for every key, a function of the key alone: no batch, device or order enters.

    Counter-based (splitmix64), for augmentation that must be a function of (seed, sample).

    Args:
        key: int64, any shape `*batch`.
        count: numbers a key.

    Returns:
        fp32 of shape `(*batch, count)`.
    """
    counter = torch.arange(1, count + 1, device=key.device, dtype=torch.int64)
    bits = mixed(mixed(key)[..., None] + counter * GOLDEN)
    return shifted(bits, 40).to(torch.float32) / float(1 << 24)


def mixed(x: Tensor) -> Tensor:
    """int64 numbers as the finaliser of splitmix64 scrambles them, one to one."""
    x = (x ^ shifted(x, 30)) * -4658895280553007687
    x = (x ^ shifted(x, 27)) * -7723592293110705685
    return x ^ shifted(x, 31)


def shifted(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of signed 64-bit numbers."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
