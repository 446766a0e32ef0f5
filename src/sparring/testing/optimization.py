"""Optimizers and schedules."""

from __future__ import annotations

import math

import torch
from torch import nn

from sparring.optimizers import Optimizer, Schedule


def check_optimizer(optimizer: Optimizer) -> None:
    weights = nn.Parameter(torch.ones(3))
    built = optimizer.build([weights])
    optimizer.set_rate(built, 0.0)
    weights.grad = torch.ones(3)
    built.step()
    assert (weights < 1).all(), "a step goes against the gradient"


def check_schedule(schedule: Schedule) -> None:
    factors = [schedule.factor(step / 100) for step in range(100)]
    assert all(math.isfinite(factor) and factor >= 0 for factor in factors), "rates stay finite and non-negative"


CONTRACTS = {Optimizer: check_optimizer, Schedule: check_schedule}
