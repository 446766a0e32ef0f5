"""Optimizers and learning-rate schedules."""

from __future__ import annotations

import pytest
import torch

from sparring.core.randomness import Rng
from sparring.optimizers import Adam, LinearDecay, RMSprop


def test_linear_decay_ends_where_it_says() -> None:
    schedule = LinearDecay(start=0.5, end=0.1)
    assert [schedule.factor(p) for p in (0.0, 0.5, 0.75, 1.0)] == pytest.approx([1.0, 1.0, 0.55, 0.1])


@pytest.mark.parametrize("optimizer", [Adam(lr=0.1), RMSprop(lr=0.1)])
def test_optimizers_are_elementwise(optimizer: Adam | RMSprop) -> None:
    gradients = Rng.of(0).normal((5, 3, 4))
    together = torch.nn.Parameter(torch.zeros(3, 4))
    apart = [torch.nn.Parameter(torch.zeros(4)) for _ in range(3)]
    built = optimizer.build([together]), optimizer.build(apart)
    for gradient in gradients:
        together.grad = gradient
        for row, each in zip(gradient, apart, strict=True):
            each.grad = row.clone()
        built[0].step()
        built[1].step()
    torch.testing.assert_close(together.detach(), torch.stack([each.detach() for each in apart]))
