"""One optimizer step along the gradients that a network has gathered, watched."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sparring.core.step_log import StepLog


def descend(
    name: str, parameters: Sequence[nn.Parameter], optimizer: torch.optim.Optimizer, log: StepLog, lead_axes: int
) -> None:
    """Step once, then forget the gradients.

    Args:
        name: of the network, for the log and for errors.
        parameters: of the network.
        optimizer: over them.
        watch: told the gradient's norm, and whether everything is finite.
        lead_axes: how many leading axes of a parameter count games.
    """
    norm = _norm([parameter.grad for parameter in parameters if parameter.grad is not None], lead_axes)
    log.finite(f"gradient of the {name}", [norm])
    log.mean(f"gradient_{name}", norm)
    optimizer.step()
    log.finite(f"weights of the {name}", parameters)
    log.finite(f"moments of the {name}", moments(optimizer))
    for parameter in parameters:
        parameter.grad = None


def moments(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """All that an optimizer remembers: an infinite second moment freezes a weight that looks sound."""
    kept = (value for entries in optimizer.state.values() for value in entries.values())
    return [value for value in kept if isinstance(value, Tensor)]


def _norm(gradients: Sequence[Tensor], lead_axes: int) -> Tensor:
    """The Euclidean norm over all parameters of each game; not finite exactly if a gradient is not."""
    norms = [torch.linalg.vector_norm(gradient.flatten(lead_axes), dim=-1) for gradient in gradients]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    return norm
