"""Sanity checks of the model alone: whether it can be attacked by gradients, and whether it is left unchanged.

Source: Carlini et al. 2019, On evaluating adversarial robustness; Athalye, Carlini, Wagner 2018, Obfuscated gradients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sparring.attacks import CrossEntropy
from sparring.core.intervals import percent
from sparring.core.modules import input_gradient
from sparring.core.randomness import Rng
from sparring.core.shapes import Samples, expand_like
from sparring.robustness.targets import Target, rate
from sparring.runs.robustness_schema import SanityCheck, ThreatResult

HALF_A_POINT, TWO_POINTS = 0.005 + 1e-9, 0.02 + 1e-9
"""Tolerances of accuracies."""
_GRADIENT_FREE = ("black-box", "transfer", "noise")
_FORWARDS = 5
_AGREE = 1e-4
"""Tolerance of repeated logits, relative to the largest logit or to 1."""
_GRADIENT_ERROR = 0.05
_ZERO_GRADIENTS = 0.01
_LOSS_CHANGE = 0.05
"""The relative change of the loss that the longest finite difference aims at."""
_STEP_SHARES = (1.0, 0.3, 0.1, 0.03)
"""Of the longest step: long steps cross kinks of ReLU, short ones suffer from fp32 rounding; the best one counts."""
_TINY = 1e-300
_JITTER = 5e-3
"""Of the range."""
_LONGEST_STEP = (1e-3, 1e-2)
"""Bounds of the longest step, in Euclidean length and units of [0, 1]."""

_LOSS = CrossEntropy()
"""The loss whose gradient attacks follow."""
NetworkState = dict[str, bytes | None]


def model_checks(target: Target, *, rng: Rng) -> Iterator[SanityCheck]:
    """Checks of the model on all samples of the target.

    Args:
        target: the model and its samples.
        rng: of random directions.
    """
    logits = target.predicted_logits(target.samples)
    yield _is_better_than_chance(target, logits)
    yield returns_logits(logits)
    if target.draws > 1:
        yield _is_an_expectation(target, logits)
    else:
        yield _is_deterministic(target, logits)
    if target.gradients:
        yield from _gradient_checks(target, rng)


def samples_are_held_out(target: Target) -> SanityCheck:
    """Accuracy on samples that the network was trained on says nothing about others."""
    name, count = "the samples are held out", f"{len(target.samples):,}"
    holds, detail = {
        "held-out": (True, f"{count} samples of the test or validation split"),
        "training": (False, f"{count} training samples; `sparring data prepare` holds a tenth of the images out"),
        "given": (None, f"not known: {count} given samples"),
    }[target.evaluated_on]
    return SanityCheck(name=name, holds=holds, detail=detail)


def network_state(network: nn.Module) -> NetworkState:
    """Parameters, their gradients, buffers and modes, bit for bit, by name."""
    state: NetworkState = {}
    for name, parameter in network.named_parameters():
        state[f"parameter {name}"] = _bits(parameter)
        state[f"gradient of {name}"] = None if parameter.grad is None else _bits(parameter.grad)
        state[f"requires_grad of {name}"] = bytes([parameter.requires_grad])
    for name, buffer in network.named_buffers():
        state[f"buffer {name}"] = _bits(buffer)
    for name, module in network.named_modules():
        state[f"mode of {name or 'the network'}"] = bytes([module.training])
    return state


def changes(before: NetworkState, after: NetworkState) -> list[str]:
    """The names of entries that differ."""
    return [name for name in before | after if before.get(name, b"absent") != after.get(name, b"absent")]


def _bits(values: Tensor) -> bytes:
    return values.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def gradients_are_strongest(tried: Sequence[tuple[ThreatResult, Bool[Tensor, " n"]]]) -> SanityCheck:
    """No gradient-free attack should beat all gradient attacks together at equal norm and epsilon.

    Gradients are masked otherwise. A threat that tried only the rest has the accuracy of all threats so far; it may
    add two points, as Square's many queries do on sound networks.

    Args:
        tried: the result of every threat, and which samples are classified correctly under it.
    """
    name, compared = "gradient attacks are strongest", []
    for result, _ in tried:
        size = (result.norm, result.epsilon)
        peers = [correct for peer, correct in tried if peer.kind == "white-box" and (peer.norm, peer.epsilon) == size]
        if result.kind in _GRADIENT_FREE and peers:
            together = float(torch.stack(peers).all(0).double().mean())
            allowed = TWO_POINTS if result.settings.get("rest_only") else HALF_A_POINT
            compared.append((together, result.accuracy.value, allowed, result.name))
    if not compared:
        detail = "no attack without gradients was tried at the same norm and epsilon as one with gradients"
        return SanityCheck(name=name, holds=None, detail=detail)
    together, without, allowed, strongest = max(compared, key=lambda row: row[0] - row[1] - row[2])
    detail = f"accuracy {percent(together)} under all gradient attacks, {percent(without)} under {strongest}"
    return SanityCheck(name=name, holds=together <= without + allowed, detail=detail)


def _gradient_checks(target: Target, rng: Rng) -> Iterator[SanityCheck]:
    """Gradients of the loss by autograd are not zero, and match finite differences."""

    def gradient_of(part: Samples, labels: Tensor) -> Samples:
        # In fp64 from the logits on: the slope p - 1 of a confident sample cancels in fp32.
        return input_gradient(lambda samples: _LOSS.loss(target.logits(samples).double(), labels), part).gradient

    x = _inside_range(target, rng)
    gradient = torch.cat([gradient_of(*part) for part in target.batches(x)]).double()
    noise = rng.normal(x.shape).to(gradient)
    vanishes = ~gradient.flatten(1).any(1)
    zero = float(vanishes.double().mean())
    detail = f"{percent(zero)} of the samples have a gradient of zero"
    yield SanityCheck(name="gradients are not zero", holds=zero <= _ZERO_GRADIENTS, detail=detail)

    if target.draws > 1:
        return  # differences of random losses are no slopes
    # Along the gradient, or along noise where it vanishes. Along noise, which detects missing parts of the gradient.
    directions = (torch.where(expand_like(vanishes, x), noise, gradient), noise)
    along, across = (float(_error(target, x, gradient, each).median()) for each in directions)
    detail = f"median relative error {percent(along)} along the gradient, {percent(across)} along noise"
    holds = max(along, across) <= _GRADIENT_ERROR
    yield SanityCheck(name="gradients match finite differences", holds=holds, detail=detail)


def _error(target: Target, x: Samples, gradient: Samples, direction: Samples) -> Tensor:
    """|g.u - (loss(x + h u) - loss(x - h u)) / 2h|, relative to the larger of the two, for unit vectors u."""

    def loss(samples: Samples) -> Tensor:
        return _LOSS.loss(target.predicted_logits(samples.to(x)).double(), target.labels)

    width = target.space.width
    unit = direction / expand_like(torch.linalg.vector_norm(direction.flatten(1), dim=1), direction)
    slope = (gradient * unit).flatten(1).sum(1)
    longest = _LOSS_CHANGE * loss(x).abs() / slope.abs().clamp(min=_TINY)
    longest = longest.clamp(*(width * size for size in _LONGEST_STEP))
    errors = []
    for share in _STEP_SHARES:
        up, down = (x + sign * expand_like(share * longest, x) * unit for sign in (1, -1))
        # The step after rounding to fp32, not the intended one.
        rounded = ((up.to(x).double() - down.to(x).double()) * unit).flatten(1).sum(1)
        difference = (loss(up) - loss(down)) / rounded
        errors.append((slope - difference).abs() / torch.maximum(slope.abs(), difference.abs()).clamp(min=_TINY))
    return torch.stack(errors).amin(0)


def _inside_range(target: Target, rng: Rng) -> Samples:
    """The samples with a little noise, far enough from the ends of the range for finite differences.

    Without noise a constant background ties all entries of a maximum: a kink, where finite differences are no slope.
    """
    samples = target.samples[:]
    if target.space.bounds is None:
        return samples
    low, high = target.space.bounds
    middle, reach = (low + high) / 2, _JITTER * (high - low)
    inside = middle + (samples - middle) * (1 - 2 * (max(_LONGEST_STEP) + _JITTER))
    return inside + rng.uniform(inside.shape, -reach, reach).to(inside)


def _is_an_expectation(target: Target, logits: Float[Tensor, "n classes"]) -> SanityCheck:
    """How far mean logits of a randomised network still vary: attack and verdict average as many draws."""
    with torch.no_grad():
        again = _apart(target.logits(target.samples[:]), logits) / max(1.0, float(logits.abs().max()))
    detail = f"means over {target.draws} draws differ by {again:.1e}, relative to the largest logit"
    return SanityCheck(name="expectation over draws", holds=None, detail=detail)


def _is_deterministic(target: Target, logits: Float[Tensor, "n classes"]) -> SanityCheck:
    """Repeated logits agree, in batches of other sizes and another order as well."""
    scale = max(1.0, float(logits.abs().max()))
    samples = target.samples[:]
    with torch.no_grad():
        again = max(_apart(target.logits(samples), logits) for _ in range(_FORWARDS - 1)) / scale
        reordered = torch.cat([samples[:1], samples[1:].flip(0)])
        parts = torch.cat([target.logits(part) for part in reordered.tensor_split([1, 4, 11]) if len(part)])
    alone = _apart(torch.cat([parts[:1], parts[1:].flip(0)]), logits) / scale
    detail = (
        f"{_FORWARDS} forwards differ by {again:.1e}, in other batches by {alone:.1e}, relative to the largest logit"
    )
    return SanityCheck(name="the model is deterministic", holds=max(again, alone) <= _AGREE, detail=detail)


def _apart(one: Tensor, other: Tensor) -> float:
    difference = float((one - other).abs().max())
    return difference if difference == difference else float("inf")


def returns_logits(logits: Float[Tensor, "n classes"]) -> SanityCheck:
    """Outputs are no probabilities: gradients of their logarithms vanish where a softmax saturates."""
    sums = logits.double().sum(1)
    are_probabilities = bool(((logits >= 0) & (logits <= 1)).all()) and bool(((sums - 1).abs() <= 1e-3).all())
    least, most = float(logits.min()), float(logits.max())
    detail = "outputs are probability vectors" if are_probabilities else f"outputs from {least:.3g} to {most:.3g}"
    return SanityCheck(name="logits, not probabilities", holds=not are_probabilities, detail=detail)


def _is_better_than_chance(target: Target, logits: Float[Tensor, "n classes"]) -> SanityCheck:
    clean = rate(logits.argmax(1) == target.labels)
    commonest = float(target.labels.bincount().max()) / len(target.labels)
    detail = f"clean accuracy {percent(clean.value)}, always the commonest class {percent(commonest)}"
    return SanityCheck(name="better than chance", holds=clean.interval[0] > commonest, detail=detail)
