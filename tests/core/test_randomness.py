"""Random streams, hashed numbers, and the smooth norm of samples."""

from __future__ import annotations

import torch

from sparring.core.randomness import Streams
from sparring.core.shapes import sample_norm
from sparring.data.augment import hashed_uniform


def test_hashed_numbers_are_uniform_and_a_function_of_the_key() -> None:
    keys = torch.arange(20_000)
    numbers = hashed_uniform(keys, 3)
    assert torch.equal(numbers[7], hashed_uniform(keys[7:8], 3)[0])
    counts = torch.histc(numbers, bins=20, min=0, max=1)
    assert float(((counts - 3000) ** 2 / 3000).sum()) < 45  # chi-square, 19 degrees of freedom, p = 0.0007
    assert abs(float(torch.corrcoef(numbers.T)[0, 1])) < 0.03


def test_streams_are_independent_of_each_other() -> None:
    draws = [Streams(seed).rng(name, number).normal((2000,)) for seed in (0, 1) for name in "ab" for number in (0, 1)]
    correlations = torch.corrcoef(torch.stack(draws)) - torch.eye(8)
    assert float(correlations.abs().max()) < 0.1


def test_a_norm_is_smooth_at_zero() -> None:
    x = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(sample_norm(x, 1).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert first.isfinite().all() and second.isfinite().all()
