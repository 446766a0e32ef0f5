"""A network as users write them, which draws from torch's own generator in training."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from sparring.core.randomness import Rng
from sparring.core.shapes import Space
from sparring.networks import MLPDiscriminator
from sparring.networks.heads import DiscriminatorModule


class DropoutMLP(MLPDiscriminator):
    """A fully connected discriminator whose features are dropped."""

    packs: ClassVar[bool] = False

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> DiscriminatorModule:
        module = super().build(space, lead, rng=rng)
        module.trunk = nn.Sequential(module.trunk, nn.Dropout(0.5))
        return module
