"""Helpers for tests of the probe and of pictures."""

from __future__ import annotations

import torch
from torch import nn

from sparring.gan.state import GANState
from sparring.networks import Verdict
from sparring.recipes import Recipe

CPU = torch.device("cpu")
IMAGES = ("data=digits", "generator={name: mlp, latent: 4, hidden: [8]}", "discriminator={name: mlp, hidden: [8]}")
CONVOLUTIONS = ("data=digits", "generator={name: mnist, latent: 8, width: 4}", "discriminator={name: mnist, width: 4}")


class Linear(nn.Module):
    """A D whose score is linear in the sample."""

    def __init__(self, weight: torch.Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, samples: torch.Tensor) -> Verdict:
        return Verdict((samples * self.weight).flatten(samples.dim() - self.weight.dim()).sum(-1))


def game_of(recipe: Recipe) -> GANState:
    return GANState(recipe, recipe.data.open(CPU), CPU)
