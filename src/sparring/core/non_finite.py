"""Tensors that are not finite, by name: a failed round is run again with hooks on every layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sparring.core.descent import NotFiniteStep
from sparring.core.errors import NonFinite


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


def require_finite(where: str, numbers: Mapping[str, Tensor]) -> None:
    """Refuse numbers that are not finite outside of training, by name.

    Raises:
        NonFinite: names the place and the first of the numbers that is not finite.
    """
    bad = next((name for name, values in numbers.items() if not values.isfinite().all()), None)
    if bad is not None:
        raise NonFinite(
            f"{where}: not finite: {bad} in eval mode",
            "train again with lower learning rates, or without batch normalisation",
        )
