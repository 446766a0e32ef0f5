"""The running mean of a classifier's weights and batch statistics: what is evaluated and saved as its result.

    mean <- d mean + (1 - d) weights after every update, with the decay d of `decay_of_mean`

Running means and variances of batch normalisation are averaged alike; counts are copied.

Source: Izmailov et al. 2018; Gowal et al. 2020, section 4.4.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from sparring.gan.state import decay_of_mean


class RunningMean:
    """The mean of a network's weights and buffers.

    Args:
        network: in training.
        decay: in the end, in (0, 1).
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).requires_grad_(False)
        self._trained, self._decay = network, decay

    @torch.no_grad()
    def update(self, updates: int) -> None:
        """Take in the weights after an update.

        Args:
            updates: those before it.
        """
        share = 1 - decay_of_mean(self._decay, updates)
        pairs = [*zip(_tensors(self.network), _tensors(self._trained), strict=True)]
        floats = [(mean, now) for mean, now in pairs if mean.is_floating_point()]
        torch._foreach_lerp_([mean for mean, _ in floats], [now for _, now in floats], share)
        for mean, now in pairs:
            if not mean.is_floating_point():
                mean.copy_(now)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
