"""Residual blocks of WGAN-GP, SN-GAN and Rob-GAN.

    generator block        h = conv(relu(norm(conv(resample(relu(norm(x)))))))      out = h + conv(resample(x))
    input block of D       h = pool(norm(conv(relu(norm(conv(x))))))                out = h + shortcut(x)
    other blocks of D      h = norm(conv(relu(norm(conv(relu(x))))))                out = resample(h + shortcut(x))

Convolutions are 3 x 3, those of shortcuts 1 x 1. D halves the side by mean pooling. Where a 3 x 3 convolution is next
to a change of the side, both are one operation (`folded`); a 1 x 1 convolution commutes with the change and comes where
the side is smaller. Batch normalisation between them rules both out.

Source: Gulrajani et al. 2017, appendix C; Miyato, Kataoka, Koyama, Yoshida 2018, appendix B.4.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from sparring.networks.folded import PooledConv, UpsampledConv

EPS = 2e-5
"""Added to variances in the published generators."""

ClassNorm = Callable[[int], nn.Module]
"""Channels to a layer `(features (n, channels, height, width), one-hot classes (n, classes)) -> features`."""


class ConditionalBatchNorm(nn.Module):
    """y = gamma_c (x - mean) / sqrt(variance + eps) + beta_c, one scale and shift for each class c, initially 1 and 0.

    Source: Dumoulin, Shlens, Kudlur 2017, equation (5); Miyato, Koyama 2018, appendix.

    Args:
        width: channels.
        classes: how many.
        momentum: the share of the newest batch in the running mean and variance.
    """

    def __init__(self, width: int, classes: int, momentum: float) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width, eps=EPS, momentum=momentum, affine=False)
        self.gamma = nn.Parameter(torch.ones(classes, width))
        self.beta = nn.Parameter(torch.zeros(classes, width))

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        gamma, beta = classes @ self.gamma, classes @ self.beta
        return torch.addcmul(beta[:, :, None, None], gamma[:, :, None, None], self.norm(x))


class UnconditionalBatchNorm(nn.Module):
    """Batch normalisation with one gamma and one beta for all classes.

    Args:
        width: channels.
        momentum: the share of the newest batch in the running mean and variance.
        eps: added to variances.
    """

    def __init__(self, width: int, momentum: float, eps: float = EPS) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width, eps=eps, momentum=momentum)

    def forward(self, x: Tensor, _classes: Tensor) -> Tensor:
        out: Tensor = self.norm(x)
        return out


def class_norm(classes: int | None, momentum: float) -> ClassNorm:
    """Normalisations for this many classes, or unconditional ones for None."""
    if classes is None:
        return lambda width: UnconditionalBatchNorm(width, momentum)
    return lambda width: ConditionalBatchNorm(width, classes, momentum)


class GeneratorBlock(nn.Module):
    """A generator block whose normalisations see the class.

    Args:
        conv: the first convolution, with the resampling before it.
        shortcut: the 1 x 1 convolution, and the same resampling.
        norm: makes the normalisations.
    """

    def __init__(self, conv: nn.Conv2d, shortcut: nn.Module, norm: ClassNorm) -> None:
        super().__init__()
        inputs, width = conv.in_channels, conv.out_channels
        self.norm1, self.norm2 = norm(inputs), norm(width)
        self.conv1, self.conv2 = conv, nn.Conv2d(width, width, 3, padding=1)
        self.shortcut = shortcut

    def forward(self, x: Tensor, classes: Tensor) -> Tensor:
        h = self.conv1(torch.relu(self.norm1(x, classes)))
        h = self.conv2(torch.relu(self.norm2(h, classes)))
        out: Tensor = h + self.shortcut(x)
        return out


def upsampling_block(inputs: int, width: int, norm: ClassNorm) -> GeneratorBlock:
    """A generator block that doubles the side by repeating pixels."""
    shortcut = nn.Sequential(nn.Conv2d(inputs, width, 1), nn.Upsample(scale_factor=2.0, mode="nearest"))
    return GeneratorBlock(UpsampledConv(inputs, width), shortcut, norm)


def same_size_block(inputs: int, width: int, norm: ClassNorm) -> GeneratorBlock:
    """A generator block that keeps the side."""
    return GeneratorBlock(nn.Conv2d(inputs, width, 3, padding=1), nn.Conv2d(inputs, width, 1), norm)


class BlockLayers(NamedTuple):
    """The layers of a discriminator's blocks.

    Args:
        conv: (inputs, outputs, odd side of the kernel) to a convolution that keeps the side of the image.
        norm: channels to a normalisation, or to the identity.
        last_conv: as `conv`, for the convolutions before `norm` and `pool`.
        pool: makes the mean pooling, or the identity where `last_conv` pools.
    """

    conv: Callable[[int, int, int], nn.Module]
    norm: Callable[[int], nn.Module]
    last_conv: Callable[[int, int, int], nn.Module]
    pool: Callable[[], nn.Module]


def normalised(bias: bool) -> BlockLayers:
    """Convolutions, with or without biases, and batch normalisation over all pixels."""
    conv = _same_conv(bias)
    return BlockLayers(conv, nn.BatchNorm2d, conv, partial(nn.AvgPool2d, 2))


def bare(bias: bool) -> BlockLayers:
    """Convolutions without normalisation, with or without biases; the last ones of a block include its pooling."""
    conv = _same_conv(bias)

    def pooled(inputs: int, outputs: int, kernel: int) -> nn.Module:
        if kernel == 1:
            return nn.Sequential(nn.AvgPool2d(2), conv(inputs, outputs, 1))
        return PooledConv(inputs, outputs, bias=bias)

    return BlockLayers(conv, nn.Identity, pooled, nn.Identity)


def _same_conv(bias: bool) -> Callable[[int, int, int], nn.Module]:
    def conv(inputs: int, outputs: int, kernel: int) -> nn.Module:
        return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)

    return conv


class InputBlock(nn.Module):
    """The first block of a discriminator, which halves the side of the image.

    Args:
        channels: of the images.
        width: channels of the result.
        layers: of the block.
    """

    def __init__(self, channels: int, width: int, layers: BlockLayers) -> None:
        super().__init__()
        self.conv1, self.conv2 = layers.conv(channels, width, 3), layers.last_conv(width, width, 3)
        self.norm1, self.norm2 = layers.norm(width), layers.norm(width)
        self.pool = layers.pool()
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), layers.conv(channels, width, 1), layers.norm(width))

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
        out: Tensor = self.pool(h) + self.shortcut(x)
        return out


class DiscriminatorBlock(nn.Module):
    """A further block of a discriminator; its first convolution keeps the channels of x.

    Args:
        inputs: channels of x.
        width: channels of the result.
        layers: of the block.
        last: the second convolution.
        shortcut: x to the second summand.
        resample: halves the side, or keeps it. It is linear, so one call serves both summands.
    """

    def __init__(
        self, inputs: int, width: int, layers: BlockLayers, last: nn.Module, shortcut: nn.Module, resample: nn.Module
    ) -> None:
        super().__init__()
        self.conv1, self.conv2 = layers.conv(inputs, inputs, 3), last
        self.norm1, self.norm2 = layers.norm(inputs), layers.norm(width)
        self.shortcut, self.resample = shortcut, resample

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(torch.relu(x))))))
        out: Tensor = self.resample(h + self.shortcut(x))
        return out


def halving_block(inputs: int, width: int, layers: BlockLayers) -> DiscriminatorBlock:
    """A discriminator block that halves the side, with a 1 x 1 convolution on its shortcut."""
    shortcut = nn.Sequential(layers.last_conv(inputs, width, 1), layers.norm(width))
    return DiscriminatorBlock(inputs, width, layers, layers.last_conv(inputs, width, 3), shortcut, layers.pool())


def keeping_block(inputs: int, width: int, layers: BlockLayers) -> DiscriminatorBlock:
    """A discriminator block that keeps the side; its shortcut has weights only where the channels change."""
    projection = nn.Sequential(layers.conv(inputs, width, 1), layers.norm(width))
    shortcut = nn.Identity() if inputs == width else projection
    return DiscriminatorBlock(inputs, width, layers, layers.conv(inputs, width, 3), shortcut, nn.Identity())
