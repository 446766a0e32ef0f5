"""Whether a user's model gets the inputs and the classes that it was trained on: others are tried on clean samples.

A wrong range, a normalisation that the model also does itself, or another order of channels or classes costs accuracy
that no attack took. One of them is suspected where it gives clearly more clean accuracy than what the user stated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from sparring.core.intervals import percent
from sparring.robustness.own_model import LoadedModel, OwnModel
from sparring.robustness.targets import Target, rate
from sparring.runs.robustness_schema import Rate, SanityCheck

_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
_PLAIN = {"mean": (0.0,), "std": (1.0,)}
_STATISTICS: dict[int, dict[str, dict[str, tuple[float, ...]]]] = {
    3: {
        "ImageNet": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
        "CIFAR-10": {"mean": (0.4914, 0.4822, 0.4465), "std": (0.247, 0.2435, 0.2616)},
    },
    1: {"MNIST": {"mean": (0.1307,), "std": (0.3081,)}},
}
"""Means and standard deviations that models are often trained with, by the number of channels."""
_CLEARLY = 0.05
"""The gain in clean accuracy from which something else is suspected, if the 95 % intervals are apart as well."""
_SHOWN = 10
"""Classes that are listed."""


class Suspicion(NamedTuple):
    """Another reading of the model, and its accuracy on the same clean samples as that of the stated reading.

    Args:
        remedy: the reading, in words.
        stated: the accuracy as stated.
        other: the accuracy under this reading.
    """

    remedy: str
    stated: Rate
    other: Rate

    @property
    def gain(self) -> float:
        """By how much it is better, or zero if that may be chance."""
        apart = self.other.interval[0] > self.stated.interval[1]
        return self.other.value - self.stated.value if apart else 0.0


def input_check(loaded: LoadedModel, target: Target) -> SanityCheck:
    """The check of a model on the clean samples of its target.

    Args:
        loaded: the model.
        target: the same model, as the user stated it.
    """
    name = "inputs and classes as stated"
    tried = [*_scales(loaded, target), _class_order(target)]
    best = max(tried, key=lambda suspicion: suspicion.gain)
    stated = percent(best.stated.value)
    if best.gain < _CLEARLY:
        return SanityCheck(
            name=name, holds=True, detail=f"clean accuracy {stated}; {len(tried)} other readings give no more"
        )
    detail = f"clean accuracy {stated} as stated, {percent(best.other.value)} {best.remedy}"
    return SanityCheck(name=name, holds=False, detail=detail)


def _scales(loaded: LoadedModel, target: Target) -> Iterator[Suspicion]:
    stated, channels = rate(target.correct(target.samples)), target.space.shape[0]
    for remedy, scale in _other_scales(loaded.model, channels):
        yield Suspicion(remedy, stated, rate(_correct(target, loaded.of_pixels(scale))))
    if channels == 3:
        remedy = "with blue, green, red channels: reverse them in the factory"
        yield Suspicion(remedy, stated, rate(_correct(target, _Reversed(target.network))))


def _other_scales(model: OwnModel, channels: int) -> Iterator[tuple[str, OwnModel]]:
    normalises = (model.mean, model.std) != (_PLAIN["mean"], _PLAIN["std"])
    for low, high in _RANGES:
        range_ = f"{low:g},{high:g}"
        if (low, high) != model.input_range:
            yield f"with --input-range {range_}", model.model_copy(update={"input_range": (low, high)})
        if normalises:
            plain = model.model_copy(update={"input_range": (low, high), **_PLAIN})
            doubt = "the model seems to normalise its inputs itself, so they are normalised twice"
            also = "" if (low, high) == model.input_range else f"with --input-range {range_} and "
            yield f"{also}without --mean and --std: {doubt}", plain
    for data, statistics in _STATISTICS.get(channels, {}).items():
        if not normalises:
            mean, std = (",".join(map(str, each)) for each in statistics.values())
            scale = model.model_copy(update={"input_range": (0.0, 1.0), **statistics})
            yield f"with the statistics of {data}: --mean {mean} --std {std}", scale


def _class_order(target: Target) -> Suspicion:
    """The best assignment of outputs to classes by one half of the samples, judged on the other half."""
    logits, labels = target.predicted_logits(target.samples), target.labels
    classes = logits.shape[1]
    predicted = logits.argmax(1)
    first, second = slice(0, None, 2), slice(1, None, 2)
    counts = torch.zeros(classes, classes, dtype=torch.int64)
    counts.index_put_((predicted[first].cpu(), labels[first].cpu()), torch.ones(1, dtype=torch.int64), accumulate=True)
    counts += torch.eye(classes, dtype=torch.int64)  # the stated order, where there is no evidence
    order = torch.from_numpy(np.asarray(linear_sum_assignment(counts.numpy(), maximize=True)[1])).to(labels.device)
    names = ", ".join(target.classes[int(each)] for each in order[:_SHOWN])
    more = ", ..." if classes > _SHOWN else ""
    remedy = f"if its outputs are in the order {names}{more}: reorder them in the factory, the data's order is another"
    return Suspicion(
        remedy, rate(predicted[second] == labels[second]), rate(order[predicted[second]] == labels[second])
    )


def _correct(target: Target, network: nn.Module) -> Bool[Tensor, " n"]:
    return replace(target, network=network).correct(target.samples)


class _Reversed(nn.Module):
    """A network behind reversed channels."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, samples: Float[Tensor, "n channels height width"]) -> Tensor:
        logits: Tensor = self.network(samples.flip(1))
        return logits
