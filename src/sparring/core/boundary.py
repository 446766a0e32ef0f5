"""Where arrays of the user's enter: converted where that is safe, refused in one line where it is not.

A refusal names the argument, what it got, what it wants, and an example.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from sparring.core.errors import UsageError
from sparring.core.shapes import Space

_USUAL_RANGES = ((0, 1), (-1, 1), (0, 255))
_STRAYS = 0.25
"""How far samples may lie outside of their range, as a share of it: dequantised images do, a little."""
_ENOUGH = 16
"""Values from which on a range is suspected to be another one."""


def samples_from(value: Any, name: str = "images") -> Tensor:
    """Finite floating-point samples from a tensor, an array or nested lists.

    Args:
        value: `(n, ...)`.
        name: of the argument.

    Raises:
        UsageError: it is no such array, empty, of whole numbers, or not finite.
    """
    samples = _tensor(value, name, "torch.rand(8, 3, 32, 32)")
    got = f"{name}: {str(samples.dtype).removeprefix('torch.')} of shape {tuple(samples.shape)}"
    if not samples.numel():
        raise UsageError(f"{got} is empty", f"give at least one sample; filter the data before, not {name}")
    if not samples.is_floating_point():
        raise UsageError(f"{got}, wanted floating-point numbers", f"{name} / 255 turns bytes into [0, 1]")
    if samples.dim() < 2:
        raise UsageError(f"{got}, wanted a batch (n, ...)", f"{name}.unsqueeze(0) is a batch of one")
    if not samples.isfinite().all():
        raise UsageError(f"{got} holds numbers that are not finite", f"find them with {name}.isfinite()")
    return samples


def labels_from(value: Any, count: int, classes: int, name: str = "labels") -> Tensor:
    """Class numbers `(count)` of int64 from whole numbers of any type, or from one-hot rows.

    Args:
        value: a tensor, an array or a list.
        count: how many there should be.
        classes: how many classes there are.
        name: of the argument.

    Raises:
        UsageError: they are no whole numbers, not as many, or not classes.
    """
    labels = _tensor(value, name, "torch.tensor([3, 0, 7])")
    got = f"{name}: {str(labels.dtype).removeprefix('torch.')} of shape {tuple(labels.shape)}"
    if labels.shape == (count, classes) and bool(((labels == 0) | (labels == 1)).all() & (labels.sum(1) == 1).all()):
        return labels.argmax(1)
    if labels.shape != (count,):
        raise UsageError(
            f"{got}, wanted one class number for each of {count} samples", "for example probabilities.argmax(1)"
        )
    if labels.is_floating_point() and not (labels == labels.round()).all():
        raise UsageError(
            f"{got} are no whole numbers", "give class numbers from 0, for example torch.tensor([3, 0, 7])"
        )
    labels = labels.long()
    least, most = int(labels.min()), int(labels.max())
    if least < 0 or most >= classes:
        remedy = "count from 0: labels - 1" if (least, most) == (1, classes) else "give the data that the model is for"
        raise UsageError(
            f"{name}: from {least} to {most}, and the model has {classes} classes, 0 to {classes - 1}", remedy
        )
    return labels


def module_from(value: Any, name: str = "model") -> nn.Module:
    """A network with weights in fp32 or fp64.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(value, nn.Module):
        got = f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
        remedy = f"make one: {value.__name__}()" if isinstance(value, type) else "give the nn.Module itself"
        raise UsageError(f"{name}: {got}, wanted a network, an nn.Module", remedy)
    for weights in value.parameters():
        if weights.is_meta or weights.dtype not in (torch.float32, torch.float64):
            kind = "meta" if weights.is_meta else str(weights.dtype).removeprefix("torch.")
            remedy = "load its weights" if weights.is_meta else "attacks need fp32, as copy.deepcopy(model).float() has"
            raise UsageError(f"{name}: has {kind} weights, wanted fp32 or fp64", remedy)
    return value


def fitted(samples: Tensor, network: nn.Module) -> Tensor:
    """Samples on the device and in the type of the network's weights."""
    weights = next(network.parameters(), samples)
    return samples.to(weights.device, weights.dtype)


def require_range(samples: Tensor, space: Space, name: str = "images", *, strays: float = _STRAYS) -> None:
    """Refuse samples outside of their range; suspect aloud samples of [0, 1] whose range is said to be wider.

    Args:
        samples: `(n, ...)`.
        space: of the samples; nothing is asked of samples without a range.
        name: of the argument.
        strays: how far they may lie outside, as a share of the range.

    Raises:
        UsageError: they lie outside.
    """
    if space.bounds is None:
        return
    (low, high), (least, most) = space.bounds, map(float, samples.aminmax())
    slack = strays * space.width + 1e-6
    if least < low - slack or most > high + slack:
        raise UsageError(
            f"{name}: from {least:.4g} to {most:.4g}, outside of the range [{low:g}, {high:g}]",
            _range_advice(least, most),
        )
    if 0 <= least < most <= 1 and (low < 0 or high > 1) and samples.numel() >= _ENOUGH:
        warnings.warn(
            f"{name}: from {least:.3g} to {most:.3g}, and their range is said to be [{low:g}, {high:g}]; if they "
            f"are in [0, 1], every epsilon is {space.width:g} times too large: say bounds=(0, 1)",
            stacklevel=3,
        )


def per_sample(loss: Callable[[Tensor], Tensor], space: Space) -> Callable[[Tensor], Tensor]:
    """A loss whose every value is checked: one number a sample, with a gradient where one is wanted.

    Args:
        loss: `(*batch, ...) -> (*batch)`.
        space: of the samples.
    """

    def checked(samples: Tensor) -> Tensor:
        values = loss(samples)
        batch = samples.shape[: samples.dim() - len(space.shape)]
        if not isinstance(values, Tensor) or values.shape != batch:
            got = f"shape {tuple(values.shape)}" if isinstance(values, Tensor) else f"a {type(values).__name__}"
            remedy = 'take no mean: cross_entropy(model(x), labels, reduction="none")'
            raise UsageError(f"loss: returned {got}, wanted one number a sample, shape {tuple(batch)}", remedy)
        if samples.requires_grad and torch.is_grad_enabled() and not values.requires_grad:
            remedy = "compute it from its argument, without detach(), numpy() or no_grad()"
            raise UsageError("loss: does not depend on the samples through autograd", remedy)
        return values

    return checked


def _tensor(value: Any, name: str, example: str) -> Tensor:
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(
            f"{name}: a {type(value).__name__}, no array of numbers: {reason}", f"for example {example}"
        ) from None


def _range_advice(least: float, most: float) -> str:
    """What to do about images from `least` to `most`."""
    usual = next((ends for ends in _USUAL_RANGES if ends[0] <= least and most <= ends[1]), None)
    if usual is None:
        return "give them as they are before their mean and deviation are taken out, and let the network do that"
    return f"say the range that they have, for example bounds=({usual[0]}, {usual[1]})"
