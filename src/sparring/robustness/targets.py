"""Target: a classifier and the labelled samples on which its robustness is measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sparring.attacks import Attack
from sparring.core.boundary import fitted, labels_from, module_from, require_range, samples_from
from sparring.core.errors import UsageError
from sparring.core.intervals import wilson
from sparring.core.modules import evaluating
from sparring.core.shapes import Samples, Space, at_least_fp32
from sparring.data import SampleRows, SampleSet
from sparring.networks import prepared_for_attack
from sparring.runs.robustness_schema import Rate, SanityCheck

_SMALLEST_BATCH, _LARGEST_BATCH = 16, 250
_BATCH_VALUES = 1 << 21
"""Values in a batch of large samples."""
Split = Literal["held-out", "training", "given"]
"""Where samples come from; of given ones it is not known whether the network was trained on them."""


def logits_alone(output: Any) -> Tensor:
    """The output of a network that returns logits.

    Raises:
        TypeError: it returns something else.
    """
    if not isinstance(output, Tensor):
        raise TypeError(f"it returns a {type(output).__name__}, not logits alone")
    return output


@dataclass(frozen=True)
class Target:
    """A classifier and labelled samples.

    Args:
        name: for tables.
        network: run in eval mode; left unchanged, bit for bit.
        space: shape and range of the samples; epsilon is in units of [0, 1] of that range.
        samples: `(n, *space.shape)`; read a batch at a time, so that they need not fit in memory.
        labels: `(n)`, class numbers from 0.
        classes: their names.
        read: from the network's output to logits `(n, classes)`.
        evaluated_on: whether the samples were held out of training, as far as that is known.
        training: training samples and their labels, for the generalization gap; None without.
        trained_against: the attack of its adversarial training, or None.
        gradients: whether the network can be differentiated; otherwise it is attacked by its outputs alone.
        scaling: how images were scaled from the sides that they have on disk; empty where they were not.
        draws: of a randomised network; its logits are their means over so many calls.
        remarks: on how it was made, for the report.
        checks: sanity checks of how it was made, beside those of the attacks.
    """

    name: str
    network: nn.Module
    space: Space
    samples: SampleRows
    labels: Int[Tensor, " n"]
    classes: tuple[str, ...]
    read: Callable[[Any], Tensor] = logits_alone
    evaluated_on: Split = "given"
    training: SampleSet | None = None
    trained_against: Attack | None = None
    gradients: bool = True
    scaling: str = ""
    draws: int = 1
    remarks: tuple[str, ...] = ()
    checks: tuple[SanityCheck, ...] = ()

    def logits(self, samples: Samples) -> Float[Tensor, "n classes"]:
        """Logits in eval mode; where the network cuts the graph, their gradient is zero."""
        with evaluating(self.network):
            return self._logits(self.network, samples)

    def fast_logits(self, samples: Samples) -> Float[Tensor, "n classes"]:
        """The same up to rounding, from the network as it is prepared for attack."""
        if self._prepared is self.network:
            return self.logits(samples)
        return self._logits(self._prepared, samples)  # in eval mode for good

    @torch.no_grad()
    def predicted_logits(self, samples: SampleRows) -> Float[Tensor, "n classes"]:
        """The logits of any number of samples, in batches and without a graph."""
        return torch.cat([self.logits(part) for part in self.parts(samples)])

    def correct(self, samples: SampleRows) -> Bool[Tensor, " n"]:
        """Which samples, with the labels of the target's own, are classified correctly."""
        return self.predicted_logits(samples).argmax(1) == self.labels

    def batches(self, samples: SampleRows) -> Iterator[tuple[Samples, Int[Tensor, " n"]]]:
        """Samples with the labels of the target's own, in batches."""
        return zip(self.parts(samples), torch.split(self.labels, self.batch_size), strict=True)

    def parts(self, samples: SampleRows) -> Iterator[Samples]:
        """Samples in batches, each read when its turn comes; one empty batch of no samples."""
        for first in range(0, max(len(samples), 1), self.batch_size):
            yield samples[first : first + self.batch_size]

    @property
    def device(self) -> torch.device:
        """Where it is evaluated."""
        return self.labels.device

    @property
    def batch_size(self) -> int:
        """Samples in a backward pass."""
        return max(_SMALLEST_BATCH, min(_LARGEST_BATCH, _BATCH_VALUES // math.prod(self.space.shape)))

    def first(self, count: int) -> Target:
        """The same target with at most `count` of its samples."""
        return replace(self, samples=self.samples[:count], labels=self.labels[:count])

    def on_training_samples(self) -> Target | None:
        """The same target with its training samples; None without, or if it is evaluated on training samples."""
        if self.training is None or self.training.labels is None or self.evaluated_on == "training":
            return None
        samples, labels = self.training.samples, self.training.labels
        return replace(self, samples=samples, labels=labels, evaluated_on="training", training=None)

    @cached_property
    def _prepared(self) -> nn.Module:
        return prepared_for_attack(self.network, next(self.parts(self.samples)))

    def _logits(self, network: nn.Module, samples: Samples) -> Tensor:
        draws = [at_least_fp32(self.read(network(samples))) for _ in range(self.draws)]
        logits = torch.stack(draws).mean(0) if self.draws > 1 else draws[0]
        if not samples.requires_grad:
            return logits
        return logits + 0 * samples.flatten(1).sum(1, keepdim=True)


def target_of(
    network: nn.Module,
    samples: Any,
    labels: Any,
    *,
    low: float | None = 0.0,
    high: float | None = 1.0,
    name: str = "",
    trained_against: Attack | None = None,
) -> Target:
    """Any classifier as a target; `dataclasses.replace` sets the fields that are not arguments here.

    Samples and labels are moved to the device of the network's weights, samples take their type.

    Args:
        network: `(n, ...) -> (n, classes)`, logits; run in eval mode and left unchanged.
        samples: `(n, ...)`, in the network's input range; a tensor or an array.
        labels: `(n)`, class numbers of any type, or one-hot rows.
        low, high: that range; None for samples without one.
        name: for tables; the network's class by default.
        trained_against: the attack of its adversarial training, or None.

    Raises:
        UsageError: an argument is not what it should be: the network does not return logits of these samples, the
            samples leave the range, the labels are not its classes.
    """
    name = name or type(network).__name__
    samples = fitted(samples_from(samples), module_from(network))
    space = Space(tuple(samples.shape[1:]), None if low is None or high is None else (low, high))
    require_range(samples, space, strays=0.0)
    target = target_of_set(network, samples, labels, space, name=name)
    return replace(target, samples=samples, trained_against=trained_against)


def target_of_set(
    network: nn.Module, samples: SampleRows, labels: Any, space: Space, *, name: str, names: tuple[str, ...] = ()
) -> Target:
    """Any classifier as a target, on samples that need not fit in memory.

    Args:
        network, labels, name: as in `target_of`.
        samples: `(n, ...)`, each in the range of the space; they take the type of the network's weights when read.
        space: of the samples.
        names: of the classes; numbers by default.

    Raises:
        UsageError: the network does not return logits of these samples, or the labels are not its classes, or it has
            other outputs than these classes.
    """
    rows = FittedRows(samples, network)
    unlabelled = torch.zeros(len(samples), dtype=torch.int64, device=rows[:1].device)
    target = Target(name=name, network=network, space=space, samples=rows, labels=unlabelled, classes=())
    classes = _count_classes(target)
    labels = labels_from(labels, len(samples), classes).to(target.device)
    names = names or tuple(map(str, range(classes)))
    if len(names) != classes:
        raise UsageError(
            f"{name}: {classes} outputs, and the data have {len(names)} classes",
            "let the model return one output for each class of the data",
        )
    return replace(target, labels=labels, classes=names)


@dataclass(frozen=True)
class FittedRows:
    """Samples on the device and in the type of a network's weights, when they are read."""

    samples: SampleRows
    network: nn.Module

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, rows: slice | Tensor, /) -> Samples:
        return fitted(self.samples[rows], self.network)


def rate(correct: Bool[Tensor, " n"]) -> Rate:
    """The share of samples for which it is true, with its interval."""
    return Rate(value=float(correct.double().mean()), interval=wilson(int(correct.sum()), len(correct)))


def _count_classes(target: Target) -> int:
    """The number of logits.

    Raises:
        UsageError: the network does not return `(n, classes)`.
    """
    few, name, network = target.samples[:2], target.name, target.network
    try:
        with evaluating(network), torch.no_grad():
            shape = tuple(target.read(network(few)).shape)
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        first_line = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(
            f"{name}: cannot run on samples of shape {target.space.shape}: {first_line}", _advice(target.space)
        ) from None
    if len(shape) != 2 or shape[0] != len(few) or shape[1] < 2:
        raise UsageError(
            f"{name}: turns {len(few)} samples into {shape}, not into logits (samples, classes)",
            "return one logit for each of at least two classes",
        )
    return shape[1]


def _advice(space: Space) -> str:
    """What to do about a network that cannot run."""
    *_, last = space.shape
    if len(space.shape) == 3 and last in (1, 3) and space.shape[0] not in (1, 3):
        return "channels come first: images.permute(0, 3, 1, 2)"
    if len(space.shape) == 2:
        return "give a batch (n, channels, height, width): images.unsqueeze(0) for one image, (1) for one grey channel"
    return (
        "give a network that returns logits alone, and data of the shape it was made for, "
        "as `sparring data prepare FOLDER --size SIDE --out STORE` makes them, then --data STORE"
    )
