"""Subject: a network that names classes, and the samples on which its robustness is measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sparring.attacks import Attack
from sparring.core.errors import UsageError
from sparring.core.modules import evaluating
from sparring.core.shapes import Bounds, Samples, Space
from sparring.data import Batch
from sparring.networks import prepared_for_attack

_FEWEST, _MOST = 16, 250
"""Samples of a batch."""
_VALUES = 1 << 21
"""Numbers of a batch of large samples."""
Split = Literal["held-out", "training"]


@dataclass(frozen=True)
class Subject:
    """What is attacked: a function from samples to logits, and labelled samples.

    Args:
        name: what it is called in tables.
        network: what `classify` runs; every evaluation leaves it as it was, bit for bit.
        classify: `(n, *space.shape) -> (n, classes)`, the network in eval mode.
        space: shape and range of the samples; epsilon is in units of [0, 1] of that range.
        samples: `(n, *space.shape)`.
        labels: `(n)`, whole numbers from 0.
        classes: their names.
        evaluated_on: whether the samples were held out of training.
        training: training samples and their labels, for the gap; None where there are none.
        trained_against: the attack that it was trained against, or None.
        attacked: as `classify`, but for rounding, and quicker to attack; None where there is no such form. What is
            found by it is judged by `classify`.
    """

    name: str
    network: nn.Module
    classify: Callable[[Samples], Float[Tensor, "n classes"]]
    space: Space
    samples: Samples
    labels: Int[Tensor, " n"]
    classes: tuple[str, ...]
    evaluated_on: Split = "held-out"
    training: Batch | None = None
    trained_against: Attack | None = None
    attacked: Callable[[Samples], Float[Tensor, "n classes"]] | None = None

    def logits(self, samples: Samples) -> Float[Tensor, "n classes"]:
        """What `classify` says, with a graph to the samples even where the network cuts it: a gradient of zero then."""
        return self.classify(samples) + 0 * samples.flatten(1).sum(1, keepdim=True)

    @torch.no_grad()
    def answers(self, samples: Samples) -> Float[Tensor, "n classes"]:
        """The logits of any number of samples, without a graph."""
        return torch.cat([self.logits(part) for part in torch.split(samples, self.at_once)])

    def parts(self, samples: Samples | None = None) -> Iterator[tuple[Samples, Int[Tensor, " n"]]]:
        """The samples, or others of the same classes, with their labels in batches."""
        chosen = self.samples if samples is None else samples
        return zip(torch.split(chosen, self.at_once), torch.split(self.labels, self.at_once), strict=True)

    @property
    def at_once(self) -> int:
        """How many samples a backward pass holds."""
        return max(_FEWEST, min(_MOST, _VALUES // math.prod(self.space.shape)))

    def first(self, count: int) -> Subject:
        """The same on at most `count` of the samples."""
        return replace(self, samples=self.samples[:count], labels=self.labels[:count])

    def on_training_samples(self) -> Subject | None:
        """The same on the training samples, or None where there are none, or these are training samples already."""
        if self.training is None or self.training.labels is None or self.evaluated_on == "training":
            return None
        samples, labels = self.training.samples, self.training.labels
        return replace(self, samples=samples, labels=labels, evaluated_on="training", training=None)


def subject_of(
    network: nn.Module,
    samples: Samples,
    labels: Int[Tensor, " n"],
    *,
    low: float | None = 0.0,
    high: float | None = 1.0,
    name: str = "",
    classes: Sequence[str] = (),
    evaluated_on: Split = "held-out",
    training: Batch | None = None,
    trained_against: Attack | None = None,
) -> Subject:
    """Any classifier as a subject.

    Args:
        network: `(n, ...) -> (n, classes)`, logits; it is run in eval mode and given its own mode back.
        samples: `(n, ...)`, in the range that the network wants.
        labels: `(n)`.
        low, high: that range; None for samples without one.
        name: for tables; the network's class by default.
        classes: their names; numbers by default.
        evaluated_on: whether the samples were held out of training.
        training: training samples and labels, for the gap.
        trained_against: the attack that it was trained against.

    Raises:
        UsageError: the network does not make logits of these samples, or the samples leave the range.
    """

    classify = in_eval_mode(network, _logits_alone)
    name = name or type(network).__name__
    _require_range(name, samples, low, high)
    count = require_logits(name, classify, samples, labels)
    bounds = None if low is None or high is None else Bounds(low, high)
    return Subject(
        name=name,
        network=network,
        classify=classify,
        space=Space(tuple(samples.shape[1:]), bounds),
        samples=samples,
        labels=labels,
        classes=tuple(classes) or tuple(map(str, range(count))),
        evaluated_on=evaluated_on,
        training=training,
        trained_against=trained_against,
        attacked=in_eval_mode(prepared_for_attack(network, samples), _logits_alone),
    )


def in_eval_mode(network: nn.Module, read: Callable[..., Tensor]) -> Callable[[Samples], Tensor]:
    """A network in eval mode as a function to logits.

    Args:
        network: given its own mode back after every call.
        read: what it returns to logits.
    """

    def classify(x: Samples) -> Tensor:
        with evaluating(network):
            return read(network(x)).float()

    return classify


def _logits_alone(logits: Tensor) -> Tensor:
    if not isinstance(logits, Tensor):
        raise TypeError(f"it returns a {type(logits).__name__}, not logits alone")
    return logits


def require_logits(name: str, classify: Callable[[Samples], Tensor], samples: Samples, labels: Tensor) -> int:
    """How many classes a network knows.

    Raises:
        UsageError: it does not return `(n, classes)`, or the labels name other classes.
    """
    with torch.no_grad():
        try:
            found = tuple(classify(samples[:2]).shape)
        except (RuntimeError, ValueError, TypeError, AttributeError) as error:
            first = str(error).splitlines()[0] if str(error) else type(error).__name__
            told = f"{name}: cannot run on samples of shape {tuple(samples.shape[1:])}: {first}"
            raise UsageError(told, "give a network of logits alone, and data of the shape it was made for") from None
    if len(found) != 2 or found[0] != len(samples[:2]) or found[1] < 2:
        told = f"{name}: turns {len(samples[:2])} samples into {found}, not into logits (samples, classes)"
        raise UsageError(told, "return one logit for each of at least two classes")
    if int(labels.min()) < 0 or int(labels.max()) >= found[1]:
        told = f"{name}: has {found[1]} classes, and the labels go from {int(labels.min())} to {int(labels.max())}"
        raise UsageError(told, "evaluate it on the data that it was made for")
    return found[1]


@contextmanager
def exactly() -> Iterator[None]:
    """Products of matrices and convolutions in full fp32: what rounds also hides gradients."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def _require_range(name: str, samples: Samples, low: float | None, high: float | None) -> None:
    least, most = float(samples.min()), float(samples.max())
    if (low is not None and least < low - 1e-6) or (high is not None and most > high + 1e-6):
        told = f"{name}: the samples go from {least:.4g} to {most:.4g}, and the range is said to be [{low}, {high}]"
        raise UsageError(told, "give `low` and `high` of the samples")
