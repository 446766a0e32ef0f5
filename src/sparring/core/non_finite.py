"""Where numbers stop being finite: the first output of a layer, found by running a failed round again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from sparring.core.descent import NotFiniteStep
from sparring.core.errors import NonFinite


def first_non_finite(
    networks: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer], play: Callable[[], None]
) -> str | None:
    """Run a failed round again and name the first tensor that is not finite.

    Every learning rate is zero, so that all parameters stay those from before the step that failed. What the round
    adds to moments and statistics is lost with the run.

    Args:
        networks: by the names that the answer has.
        optimizers: of these networks.
        play: the round.

    Returns:
        The input or output of a layer, or the gradient of a parameter; None if the second run is finite.
    """
    for optimizer in optimizers.values():
        optimizer.zero_grad()  # the failed step kept its gradients
        for group in optimizer.param_groups:
            group["initial_lr"] = 0.0
    with _hooked(networks) as found:
        try:
            play()
        except NotFiniteStep as failed:
            found += [
                f"gradient of {failed.name}.{name}"
                for name, parameter in networks[failed.name].named_parameters()
                if parameter.grad is not None and not parameter.grad.isfinite().all()
            ]
    return next(iter(found), None)


@contextmanager
def _hooked(networks: Mapping[str, nn.Module]) -> Iterator[list[str]]:
    """Forward hooks on every layer, which add the name of what is not finite to the list."""
    found: list[str] = []

    def check(what: str, name: str, values: Any) -> None:
        tensors = values if isinstance(values, tuple) else (values,)
        if not all(value.isfinite().all() for value in tensors if isinstance(value, Tensor)):
            found.append(f"{what} of {name}")

    hooks = []
    for root, network in networks.items():
        for path, layer in network.named_modules():
            name = f"{root}.{path}" if path else root
            hooks.append(layer.register_forward_pre_hook(lambda _, inputs, name=name: check("input", name, inputs)))
            hooks.append(layer.register_forward_hook(lambda _, __, outputs, name=name: check("output", name, outputs)))
    try:
        yield found
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
