"""Spectral normalisation: every weight of D is divided by its largest singular value.

The weight that the network computes with is W / sigma, sigma = u^T W v with u and v constant, so that the gradient
of sigma is u v^T. One power iteration follows each step of the optimizer, in `constrain`, and none
happens in a forward pass: D is the same for real, fake and adversarial samples, and an attack does not change it.

A kernel `(outputs, inputs, height, width)` is normalised as the matrix `(outputs, inputs height width)`, as in the
paper. That is not the norm of the convolution, which may exceed it by up to sqrt(height width), and with strides by
less; `sparring.evaluation` measures the norm of the convolution itself.

Source: Miyato, Kataoka, Koyama, Yoshida 2018, algorithm 1 and section 2.1.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from sparring.core.errors import UsageError
from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.lipschitz.base import Lipschitz

_FIRST_ITERATIONS = 15


class OverSpectralNorm(nn.Module):
    """W -> W / u^T W v, with W as a matrix of its first axis by the rest, or a stack of them behind replica axes.

    u and v start from power iterations on a fixed direction, the same for every replica: no random state is read.

    Args:
        weight: the initial weight.
        lead: how many leading axes count replicas.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor, lead: int) -> None:
        super().__init__()
        self.lead = lead
        matrix = self._matrix(weight)
        start = Rng.of(0).normal(matrix.shape[-2:-1]).to(matrix)
        self.register_buffer("u", start.expand(matrix.shape[:-1]).clone())
        self.register_buffer("v", torch.zeros_like(matrix[..., 0, :]))
        for _ in range(_FIRST_ITERATIONS):
            self.iterate(weight)

    def forward(self, weight: Tensor) -> Tensor:
        # In half precision the norm would be off by up to 1/256.
        with torch.autocast(weight.device.type, enabled=False):
            sigma = torch.einsum("...i,...ij,...j->...", self.u, self._matrix(weight), self.v)
        return weight / sigma.reshape(sigma.shape + (1,) * (weight.dim() - self.lead))

    @torch.no_grad()
    def iterate(self, weight: Tensor) -> None:
        """One power iteration: v <- W^T u, u <- W v, each normalised, in place."""
        matrix = self._matrix(weight)
        self.v.copy_(F.normalize(torch.einsum("...ij,...i->...j", matrix, self.u), dim=-1))
        self.u.copy_(F.normalize(torch.einsum("...ij,...j->...i", matrix, self.v), dim=-1))

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.flatten(self.lead + 1)


@piece("spectral_norm")
class SpectralNorm(Lipschitz):
    """Every weight of D over its largest singular value, by one power iteration a step (SN-GAN).

    It applies to every layer whose `weight` is a kernel of a convolution or a matrix; biases are left.

    Raises:
        UsageError: D is normalised already.
    """

    def transform(self, discriminator: nn.Module) -> None:
        for name, layer in list(discriminator.named_modules()):
            if parametrize.is_parametrized(layer, "weight"):
                raise UsageError(
                    f"lipschitz: the weight of layer {name!r} of the discriminator is reparametrised already",
                    "apply spectral_norm once",
                )
            weight = dict(layer.named_parameters(recurse=False)).get("weight")
            if weight is not None and weight.dim() > 1:
                lead = 0 if isinstance(layer, _ConvNd) else weight.dim() - 2
                parametrize.register_parametrization(layer, "weight", OverSpectralNorm(weight, lead))

    def constrain(self, discriminator: nn.Module) -> None:
        for normalised, weight in _normalised(discriminator):
            normalised.iterate(weight)


def _normalised(discriminator: nn.Module) -> Iterator[tuple[OverSpectralNorm, Tensor]]:
    for module in discriminator.modules():
        if isinstance(module, parametrize.ParametrizationList):
            yield from ((each, module.original) for each in module if isinstance(each, OverSpectralNorm))
