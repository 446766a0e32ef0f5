"""One optimizer step, refused where its loss or gradient is not finite; and the first tensor that was not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sparring.core.distributed import SINGLE, ProcessGroup
from sparring.core.diverged import DivergedGames
from sparring.core.errors import NonFinite
from sparring.core.step_log import StepLog


class NotFiniteStep(ArithmeticError):
    """A loss or gradient is not finite. No parameter has changed, and the gradients are still there.

    Args:
        name: of the network.
        what: `loss` or `gradient`.
    """

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"{what} of the {name}")
        self.name = name


class Descent:
    """The optimizer of one network.

    Args:
        name: of the network.
        parameters: of the network.
        optimizer: over them.
        log: gets the norm of the gradient of every step, over all parameters of each game.
        group: the processes whose gradients are averaged.
        diverged: packed games that are not trained any more.
    """

    def __init__(
        self,
        name: str,
        parameters: Iterable[nn.Parameter],
        optimizer: torch.optim.Optimizer,
        log: StepLog,
        group: ProcessGroup = SINGLE,
        diverged: DivergedGames | None = None,
    ) -> None:
        self.name, self.parameters, self.optimizer = name, list(parameters), optimizer
        self._log, self._group, self._diverged = log, group, diverged or DivergedGames(0)

    def step(self, loss: Tensor) -> None:
        """One step along the gradients that have been accumulated, which are then cleared.

        A packed game whose loss or gradient is not finite has diverged: it stands still from now on.

        Args:
            loss: detached, `()`, or `(replicas)` where games are packed.

        Raises:
            NotFiniteStep: loss or gradient of a single game is not finite in some process; no step was taken.
        """
        gradients = [parameter.grad for parameter in self.parameters if parameter.grad is not None]
        self._group.average([loss, *gradients])
        if loss.dim():
            norms = [torch.linalg.vector_norm(gradient.flatten(1), dim=-1) for gradient in gradients]
        else:
            norms = list(torch._foreach_norm(gradients))
        norm = torch.linalg.vector_norm(torch.stack(norms), dim=0)
        finite = torch.stack([loss, norm]).isfinite()
        if not finite.all():
            if not loss.dim():
                raise NotFiniteStep(self.name, "gradient" if finite[0] else "loss")
            self._diverged.add((~finite.all(0)).nonzero().flatten().tolist())
        self._log.add({f"gradient_{self.name}": norm})
        if self._diverged.since:
            self._diverged.step(self.optimizer, self.parameters)
        else:
            self.optimizer.step()
        for parameter in self.parameters:
            parameter.grad = None


def first_non_finite(
    networks: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer], train: Callable[[], None]
) -> str | None:
    """Run a failed round again and name the first tensor that is not finite.

    All learning rates are zero, so that parameters stay those from before the failed step. Changes of optimizer moments
    and running statistics are lost with the run.

    Args:
        networks: by name.
        optimizers: of these networks.
        train: runs the round.

    Returns:
        The input or output of a layer, or the gradient of a parameter; None if everything is finite this time.
    """
    for optimizer in optimizers.values():
        optimizer.zero_grad()  # the failed step kept its gradients
        for group in optimizer.param_groups:
            group["initial_lr"] = 0.0
    with _hooked(networks) as names:
        try:
            train()
        except NotFiniteStep as failed:
            names += [
                f"gradient of {failed.name}.{name}"
                for name, parameter in networks[failed.name].named_parameters()
                if parameter.grad is not None and not parameter.grad.isfinite().all()
            ]
    return next(iter(names), None)


@contextmanager
def _hooked(networks: Mapping[str, nn.Module]) -> Iterator[list[str]]:
    """A list that forward hooks on every layer extend by the names of tensors that are not finite."""
    names: list[str] = []

    def check(what: str, name: str, values: Any) -> None:
        tensors = values if isinstance(values, tuple) else (values,)
        if not all(value.isfinite().all() for value in tensors if isinstance(value, Tensor)):
            names.append(f"{what} of {name}")

    hooks = []
    for root, network in networks.items():
        for path, layer in network.named_modules():
            name = f"{root}.{path}" if path else root
            hooks.append(layer.register_forward_pre_hook(lambda _, inputs, name=name: check("input", name, inputs)))
            hooks.append(layer.register_forward_hook(lambda _, __, outputs, name=name: check("output", name, outputs)))
    try:
        yield names
    finally:
        for hook in hooks:
            hook.remove()


def require_finite(where: str, numbers: Mapping[str, Tensor], diverged: DivergedGames | None = None) -> None:
    """Refuse numbers that are not finite outside of training, by name; a packed game that has one has diverged.

    Args:
        where: of the error message.
        numbers: by name; `(replicas, ...)` each where games are packed.
        diverged: the diverged games of a pack.

    Raises:
        NonFinite: names the place and the first of the numbers that is not finite.
    """
    if diverged and diverged.replicas:
        for values in numbers.values():
            diverged.add((~values.reshape(diverged.replicas, -1).isfinite().all(1)).nonzero().flatten().tolist())
        return
    bad = next((name for name, values in numbers.items() if not values.isfinite().all()), None)
    if bad is not None:
        raise NonFinite(
            f"{where}: not finite: {bad} in eval mode",
            "train again with lower learning rates, or without batch normalisation",
        )
