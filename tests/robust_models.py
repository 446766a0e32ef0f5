"""Targets of robustness tests: three sound classifiers of the digits, trained in a second each, and a threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.attacks import PGD, Attack
from sparring.core.randomness import Rng, Streams
from sparring.data import Batch, Digits
from sparring.robustness.targets import Target, target_of

CPU = torch.device("cpu")
TRAINED_AGAINST = PGD(epsilon=0.1, steps=4)


def dense(*widths: int) -> nn.Sequential:
    """Dense layers with ReLU between them."""
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def convolutional() -> nn.Sequential:
    """Two convolutions, the first with batch normalisation."""
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, stride=2, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Conv2d(12, 24, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(24 * 16, 10),
    )


def trained(network: nn.Module, attack: Attack | None, updates: int) -> nn.Module:
    """A classifier of the digits after some updates, adversarial training if there is an attack."""
    source, streams = Digits().open(CPU), Streams(0)
    space = source.facts.space
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for number in range(updates):
        x, y = source.batch(number, 100, streams)
        assert y is not None
        labels: Tensor = y
        if attack is not None:
            loss = partial(_losses, network, labels)
            x = attack(x, loss, network=network, space=space, rng=streams.rng("attack", number))
        optimizer.zero_grad()
        F.cross_entropy(network(x), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network


def _losses(network: nn.Module, labels: Tensor, x: Tensor) -> Tensor:
    return F.cross_entropy(network(x), labels, reduction="none")


def on_digits(network: nn.Module, attack: Attack | None = None, count: int = 150) -> Target:
    """A network on held-out digits, with as many training ones."""
    source = Digits().open(CPU)
    x, y = source.held_out(count, rng=Rng.of(0))
    assert y is not None
    training = source.batch(0, count, Streams(0))
    target = target_of(network, x, y, low=-1.0, high=1.0, name="digits", trained_against=attack)
    return replace(target, evaluated_on="held-out", training=Batch(*training))


class Thresholds(nn.Module):
    """Two classes separated by the mean of the pixels: robust by exactly its distance to 1/2."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.flatten(1).mean(1)
        return torch.stack([0.5 - mean, mean - 0.5], dim=1)


def thresholds(count: int = 41) -> Target:
    """Flat grey images from 0.3 to 0.7, one of them exactly in the middle."""
    grey = torch.linspace(0.3, 0.7, count)
    return target_of(Thresholds(), grey[:, None, None, None].expand(-1, 1, 4, 4).clone(), (grey > 0.5).long())


_MODELS: dict[str, tuple[Callable[[], nn.Module], Attack | None, int]] = {
    "linear": (lambda: dense(64, 10), None, 150),
    "mlp": (lambda: dense(64, 64, 64, 10), None, 150),
    "robust": (convolutional, TRAINED_AGAINST, 150),
}
SOUND = tuple(_MODELS)


@cache
def sound(name: str) -> Target:
    """One of the three: linear, an MLP, or convolutional and trained under attack; in train mode."""
    make, attack, updates = _MODELS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = make()
    return on_digits(trained(network, attack, updates).train(), attack)
