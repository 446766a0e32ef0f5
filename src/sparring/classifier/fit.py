"""Plain training of a classifier: cross-entropy, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.core.shapes import Samples


def fit(
    network: nn.Module,
    batches: Iterable[tuple[Samples, Tensor]],
    optimizer: torch.optim.Optimizer,
    scheduler: torch.optim.lr_scheduler.LRScheduler | None = None,
) -> None:
    """One optimizer step down the cross-entropy for each batch.

    Args:
        network: samples `(n, ...)` to logits `(n, classes)`, in the mode that it is trained in.
        batches: samples with their labels `(n)`.
        optimizer: over the network's parameters.
        scheduler: of the learning rate, stepped after every batch.
    """
    for samples, labels in batches:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(network(samples), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if scheduler:
            scheduler.step()
