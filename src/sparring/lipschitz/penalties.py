"""Gradient penalties on D.

Source: Gulrajani et al. 2017, equation (3); Xu, Li, Jegelka, appendix C.1, algorithm 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sparring.errors import UsageError
from sparring.lipschitz.base import Lipschitz, ScoreFunction
from sparring.pieces import piece
from sparring.randomness import Rng
from sparring.records import NonNegative
from sparring.shapes import Samples, expand_like, sample_norm


@piece("gradient_penalty")
class GradientPenalty(Lipschitz):
    """weight (||grad_x D(x)|| - 1)^2 at points uniform on the segments between real and fake samples (WGAN-GP).

    The norm is sqrt(sum g^2 + 1e-24) in fp32, whose second derivative is finite at a zero gradient.

    Args:
        weight: lambda; 10 in the papers.

    Raises:
        UsageError: D has batch statistics, which leave the gradient of a sample undefined.
    """

    weight: NonNegative = 10.0

    def check(self, discriminator: nn.Module) -> None:
        for name, layer in discriminator.named_modules():
            if isinstance(layer, nn.modules.batchnorm._BatchNorm):
                raise UsageError(
                    f"lipschitz: {self.name} needs a gradient per sample, and layer {name!r} of the discriminator "
                    f"({type(layer).__name__}) couples the samples of a batch",
                    "use discriminator.batch_norm=false, or another lipschitz control",
                )

    def penalty(self, score: ScoreFunction, real: Samples, fake: Samples, *, batch_axes: int, rng: Rng) -> Tensor:
        mix = expand_like(rng.uniform(real.shape[:batch_axes]), real)
        between = (mix * real + (1 - mix) * fake).requires_grad_()
        (gradient,) = torch.autograd.grad(score(between).sum(), between, create_graph=True)
        return self.weight * (sample_norm(gradient, batch_axes) - 1).square()
