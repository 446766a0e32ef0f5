"""One optimizer step, refused where its loss or gradient is not finite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from sparring.core.distributed import SINGLE, ProcessGroup
from sparring.core.step_log import StepLog


class NotFiniteStep(ArithmeticError):
    """A loss or gradient is not finite. No parameter has changed, and the gradients are still there.

    Args:
        name: of the network.
        what: `loss` or `gradient`.
        replicas: of the packed games in which it is not finite; empty for a single game.
    """

    def __init__(self, name: str, what: str, replicas: Sequence[int]) -> None:
        super().__init__(f"{what} of the {name}")
        self.name, self.replicas = name, tuple(replicas)


class Descent:
    """The optimizer of one network.

    Args:
        name: of the network.
        parameters: of the network.
        optimizer: over them.
        log: gets the norm of the gradient of every step.
        group: the processes whose gradients are averaged.
    """

    def __init__(
        self,
        name: str,
        parameters: Iterable[nn.Parameter],
        optimizer: torch.optim.Optimizer,
        log: StepLog,
        group: ProcessGroup = SINGLE,
    ) -> None:
        self.name, self.parameters, self.optimizer = name, list(parameters), optimizer
        self._log, self._group = log, group

    def step(self, loss: Tensor) -> None:
        """One step along the gradients that have been accumulated, which are then cleared.

        Args:
            loss: detached, `()`, or `(replicas)` where games are packed.

        Raises:
            NotFiniteStep: loss or gradient is not finite in some process; no step was taken.
        """
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        self._group.average([loss, *gradients])
        norm = gradient_norm(gradients, loss.dim())
        finite = torch.stack([loss, norm]).isfinite()
        if not finite.all():
            replicas = (~finite.all(0)).nonzero().flatten().tolist() if loss.dim() else []
            raise NotFiniteStep(self.name, "gradient" if finite[0].all() else "loss", replicas)
        self._log.add({f"gradient_{self.name}": norm})
        self.optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None


def gradient_norm(gradients: Sequence[Tensor], lead_axes: int) -> Tensor:
    """The Euclidean norm over all parameters of each game, `()` or `(replicas)`."""
    if lead_axes:
        norms = [torch.linalg.vector_norm(gradient.flatten(lead_axes), dim=-1) for gradient in gradients]
    else:
        norms = list(torch._foreach_norm(list(gradients)))
    norm: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
    return norm
