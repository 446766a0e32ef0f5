"""The space of samples."""

from __future__ import annotations

import torch
from torch import nn

from sparring.attacks import FGSM
from sparring.core.randomness import Rng
from sparring.core.shapes import Space


def test_a_pair_is_a_range_of_a_space() -> None:
    space, x = Space((3,), (0.0, 1.0)), torch.full((2, 3), 0.5)
    moved = FGSM(epsilon=0.25)(x, lambda samples: samples.sum(-1), network=nn.Identity(), space=space, rng=Rng.of(0))
    torch.testing.assert_close(moved, torch.full((2, 3), 0.75))
