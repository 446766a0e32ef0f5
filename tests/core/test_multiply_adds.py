"""Counts of multiply-adds against closed forms."""

from __future__ import annotations

import torch

from sparring.core.multiply_adds import multiply_adds


def test_a_product_of_matrices() -> None:
    left, right = torch.randn(3, 4), torch.randn(4, 5)
    assert multiply_adds(lambda: left @ right) == 3 * 4 * 5


def test_a_backward_pass_counts_a_product_for_each_side() -> None:
    left, right = torch.randn(3, 4, requires_grad=True), torch.randn(4, 5, requires_grad=True)
    assert multiply_adds(lambda: (left @ right).sum().backward()) == 3 * 3 * 4 * 5


def test_a_convolution() -> None:
    images, kernel = torch.randn(2, 3, 8, 8), torch.randn(4, 3, 3, 3)
    assert multiply_adds(lambda: torch.nn.functional.conv2d(images, kernel)) == 2 * 4 * 6 * 6 * 3 * 3 * 3
