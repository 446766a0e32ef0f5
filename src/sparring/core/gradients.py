"""The gradient of a score with respect to the samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from sparring.core.shapes import Samples, Scores


class Scored(NamedTuple):
    """Scores `(*batch)` and their gradients `(*batch, ...)`."""

    score: Scores
    gradient: Samples


def input_gradient(score: Callable[[Samples], Scores], x: Samples, *, create_graph: bool = False) -> Scored:
    """The score and the gradient of every sample; exact if samples do not affect each other's scores.

    Args:
        score: `(*batch, ...) -> (*batch)`.
        x: `(*batch, ...)`; taken as constants.
        create_graph: whether the result is differentiable in the network's parameters; detached otherwise.
    """
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        value = score(leaf)
        # The gradient of the sum: no factor of the batch size.
        (gradient,) = torch.autograd.grad(value.sum(), leaf, create_graph=create_graph)
    return Scored(value if create_graph else value.detach(), gradient)
