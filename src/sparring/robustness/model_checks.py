"""Whether a network can be attacked as it is: checks of the model alone, before any attack.

Source: Carlini et al. 2019, On evaluating adversarial robustness; Athalye, Carlini, Wagner 2018, Obfuscated gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from sparring.attacks import Criterion, width_of
from sparring.core.gradients import input_gradient
from sparring.core.intervals import percent
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, expand_like
from sparring.robustness.checks import check, rate
from sparring.robustness.targets import Subject
from sparring.runs.schema import SanityCheck

_FORWARDS = 5
_AGREE = 1e-4
"""Of two answers to the same question, relative to the largest logit or to 1."""
_GRADIENT_ERROR = 0.05
_NO_GRADIENT = 0.01
_SHIFT = 0.05
"""The share of its loss by which a finite difference moves a sample's."""
_SHARES = (1.0, 0.3, 0.1, 0.03)
"""Of that, tried: long steps meet the kinks of ReLU, short ones the rounding of fp32; a false gradient fits none."""
_TINY = 1e-300
_JITTER = 5e-3
"""Of the range."""
_STEPS = (1e-3, 1e-2)
"""The least and the most that the longest of these steps may be, in Euclidean length and units of [0, 1]."""


def soundness(subject: Subject, criterion: Criterion, *, rng: Rng) -> Iterator[SanityCheck]:
    """Checks of the model; its samples are all looked at.

    Args:
        subject: which model.
        criterion: whose gradient attacks follow.
        rng: of directions where there is no gradient.
    """
    logits = subject.answers(subject.samples)
    yield _is_better_than_chance(subject, logits)
    yield _are_logits(logits)
    yield _is_a_function(subject, logits)
    slopes = _slopes(subject, criterion, rng=rng)
    yield _gradients_exist(slopes)
    yield _gradient_is_the_gradient(slopes)


class _Slopes(NamedTuple):
    """The slope of every sample's loss along two directions, by autograd and by a finite difference; `(n)` each.

    Args:
        vanishes: whether the gradient is zero in every coordinate.
        along: the relative error along the gradient, or along noise where it vanishes.
        across: the relative error along noise, which sees what the gradient leaves out.
    """

    vanishes: Tensor
    along: Tensor
    across: Tensor


def _slopes(subject: Subject, criterion: Criterion, *, rng: Rng) -> _Slopes:
    def gradient_of(part: Samples, labels: Tensor) -> Samples:
        # In fp64 from the logits on: the slope p - 1 of a sure sample cancels in fp32.
        return input_gradient(lambda samples: criterion.loss(subject.logits(samples).double(), labels), part).gradient

    x = _inside(subject, rng)
    gradient = torch.cat([gradient_of(*part) for part in subject.parts(x)]).double()
    noise = rng.normal(x.shape).to(gradient)
    vanishes = ~gradient.flatten(1).any(1)
    along = torch.where(expand_like(vanishes, x), noise, gradient)
    return _Slopes(vanishes, *(_error(subject, criterion, x, gradient, way) for way in (along, noise)))


def _error(subject: Subject, criterion: Criterion, x: Samples, gradient: Samples, direction: Samples) -> Tensor:
    """|g.u - (loss(x + h u) - loss(x - h u)) / 2h|, relative to the larger of the two, for unit vectors u."""

    def loss(samples: Samples) -> Tensor:
        return criterion.loss(subject.answers(samples.to(x)).double(), subject.labels)

    width = width_of(subject.space)
    unit = direction / expand_like(torch.linalg.vector_norm(direction.flatten(1), dim=1), direction)
    slope = (gradient * unit).flatten(1).sum(1)
    longest = (_SHIFT * loss(x).abs() / slope.abs().clamp(min=_TINY)).clamp(*(width * size for size in _STEPS))
    errors = []
    for share in _SHARES:
        up, down = (x + way * expand_like(share * longest, x) * unit for way in (1, -1))
        # The step that fp32 made, not the one that was meant.
        made = ((up.to(x).double() - down.to(x).double()) * unit).flatten(1).sum(1)
        difference = (loss(up) - loss(down)) / made
        errors.append((slope - difference).abs() / torch.maximum(slope.abs(), difference.abs()).clamp(min=_TINY))
    return torch.stack(errors).amin(0)


def _inside(subject: Subject, rng: Rng) -> Samples:
    """The samples with a little noise, far enough from the ends of their range for a finite difference to stay inside.

    Without noise a flat background ties all entries of a maximum: a kink, where no difference is the slope.
    """
    if subject.space.bounds is None:
        return subject.samples
    low, high = subject.space.bounds
    middle, reach = (low + high) / 2, _JITTER * (high - low)
    inside = middle + (subject.samples - middle) * (1 - 2 * (max(_STEPS) + _JITTER))
    return inside + rng.uniform(inside.shape, -reach, reach).to(inside)


def _gradients_exist(slopes: _Slopes) -> SanityCheck:
    none = float(slopes.vanishes.double().mean())
    return check("gradients exist", none <= _NO_GRADIENT, f"{percent(none)} of the samples have a gradient of zero")


def _gradient_is_the_gradient(slopes: _Slopes) -> SanityCheck:
    along, across = float(slopes.along.median()), float(slopes.across.median())
    detail = f"median relative error of finite differences {percent(along)} along it, {percent(across)} along noise"
    return check("the gradient is the gradient", max(along, across) <= _GRADIENT_ERROR, detail)


def _is_a_function(subject: Subject, logits: Float[Tensor, "n classes"]) -> SanityCheck:
    scale = max(1.0, float(logits.abs().max()))
    with torch.no_grad():
        again = max(_apart(subject.logits(subject.samples), logits) for _ in range(_FORWARDS - 1)) / scale
        alone = _apart(_in_other_company(subject.logits, subject.samples), logits) / scale
    detail = (
        f"{_FORWARDS} forwards differ by {again:.1e}, in other batches by {alone:.1e}, relative to the largest logit"
    )
    return check("the model is a function", max(again, alone) <= _AGREE, detail)


def _in_other_company(logits: Callable[[Samples], Tensor], samples: Samples) -> Tensor:
    """The logits of samples that came last to first, in batches of other sizes."""
    parts = torch.cat([samples[:1], samples[1:].flip(0)]).tensor_split([1, 4, 11])
    found = torch.cat([logits(part) for part in parts if len(part)])
    return torch.cat([found[:1], found[1:].flip(0)])


def _apart(one: Tensor, other: Tensor) -> float:
    difference = float((one - other).abs().max())
    return difference if difference == difference else float("inf")


def _are_logits(logits: Float[Tensor, "n classes"]) -> SanityCheck:
    sums = logits.double().sum(1)
    are_shares = bool(((logits >= 0) & (logits <= 1)).all()) and bool(((sums - 1).abs() <= 1e-3).all())
    least, most = float(logits.min()), float(logits.max())
    told = "outputs are probability vectors" if are_shares else f"outputs from {least:.3g} to {most:.3g}"
    return check("logits, not probabilities", not are_shares, told)


def _is_better_than_chance(subject: Subject, logits: Float[Tensor, "n classes"]) -> SanityCheck:
    clean = rate(logits.argmax(1) == subject.labels)
    commonest = float(subject.labels.bincount().max()) / len(subject.labels)
    detail = f"clean accuracy {percent(clean.value)}, always the commonest class {percent(commonest)}"
    return check("better than chance", clean.interval[0] > commonest, detail)
