"""Forward passes under a recipe's numerical precision; results are at least fp32.

Only networks run in lower precision: payoffs, penalties, gradients of parameters and optimizers stay in fp32.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor, nn

from sparring.core.shapes import at_least_fp32
from sparring.networks.base import Verdict

Precision = Literal["fp32", "tf32", "bf16"]
"""`fp32`; `tf32`, matrix products and convolutions of CUDA in TF32; or `bf16`, networks under autocast."""


def forward(network: nn.Module, inputs: Tensor, precision: Precision) -> Tensor:
    """The samples of a generator, or the logits of a classifier."""
    with autocast(precision, inputs.device):
        outputs: Tensor = network(inputs)
    return at_least_fp32(outputs)


def judge(discriminator: nn.Module, samples: Tensor, precision: Precision) -> Verdict:
    """The verdict of a discriminator on samples `(*batch, ...)`."""
    with autocast(precision, samples.device):
        verdict: Verdict = discriminator(samples)
    if verdict.score.dtype == torch.float32:
        return verdict
    return Verdict(at_least_fp32(verdict.score), None if verdict.classes is None else at_least_fp32(verdict.classes))


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The block in which a network runs; sets torch's TF32 switches on a GPU."""
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()
