"""Tries side by side find what they find one after the other, and a sample's first success ends all of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sparring.attacks import APGD, FAB, Attack, Criterion, Fooled, Margin, TargetedDLR, Threat, fool
from sparring.attacks.early_stop import EarlyStop
from sparring.core.randomness import Rng
from sparring.core.shapes import IMAGE_BOUNDS, Space

SPACE = Space((3, 4, 4), IMAGE_BOUNDS)


class Counting(nn.Module):
    """A smooth classifier of seven classes that counts the samples which it is given."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(48, 12), nn.Tanh(), nn.Linear(12, 7)).double()
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        logits: Tensor = self.layers(x)
        return logits


def both_ways(attack: Attack, criterion: Criterion, batch_size: int) -> list[tuple[Fooled, int]]:
    """One after the other and side by side, each with the number of samples that the network was given."""
    threat = Threat(name="", kind="other", attack=attack, criterion=criterion, targets=6, rest_only=True)
    x = Rng.of(7).uniform((40, *SPACE.shape), -0.9, 0.9).double()
    labels = Counting()(x).argmax(1)
    outcomes = []
    for size in (1, batch_size):
        network = Counting()
        found = fool(threat, network, x, labels, network=network, space=SPACE, rng=Rng.of(0), batch_size=size)
        outcomes.append((found, network.seen))
    return outcomes


@pytest.mark.parametrize("batch_size", [90, 1000])
def test_fab_fools_the_same_samples(batch_size: int) -> None:
    (one, _), (other, _) = both_ways(FAB(epsilon=0.06, steps=10), Margin(), batch_size)
    assert torch.equal(one.fooled, other.fooled) and 5 < int(one.fooled.sum()) < 35
    left = ~one.fooled
    torch.testing.assert_close(one.samples[left], other.samples[left])
    assert torch.equal(one.forwards[left], other.forwards[left])


def test_apgd_draws_the_same_starts() -> None:
    (one, _), (other, _) = both_ways(APGD(epsilon=0.001, steps=6), TargetedDLR(), 1000)
    assert not one.fooled.any()
    torch.testing.assert_close(one.samples, other.samples)
    assert torch.equal(one.forwards, other.forwards) and torch.equal(one.backwards, other.backwards)


@pytest.mark.parametrize("attack", [FAB(epsilon=0.06, steps=10), APGD(epsilon=0.06, steps=10)])
def test_every_call_of_every_try_is_counted(attack: Attack) -> None:
    for found, seen in both_ways(attack, Margin(), 1000):
        assert int(found.forwards.sum()) == seen


def test_a_success_ends_all_tries_on_its_sample() -> None:
    asked: list[list[int]] = []

    def logits(samples: Tensor, tries: Tensor) -> Tensor:
        asked.append(tries.tolist())
        return torch.stack([torch.zeros(len(samples)), samples[:, 0]], 1)

    until = EarlyStop(
        torch.zeros(4, 1),
        torch.zeros(4, dtype=torch.int64),
        torch.tensor([3, 5, 3, 5]),
        logits=logits,
        loss=lambda z, _: z[:, 1],
        judge=lambda samples, tries: (samples, tries != 1),
    )
    for step in ([-1.0, 1.0, 1.0, -1.0], [2.0, 2.0, 2.0, -2.0], [3.0, 3.0, 3.0, 3.0], [4.0, 4.0, 4.0, 4.0]):
        losses = until(torch.tensor(step)[:, None])
    assert asked == [[0, 1, 2, 3], [1, 3], [1, 3]]
    torch.testing.assert_close(losses, torch.tensor([-1.0, 3.0, 1.0, 3.0]))
    torch.testing.assert_close(until.first(torch.full((4, 1), 9.0))[:, 0], torch.tensor([9.0, 9.0, 1.0, 3.0]))
