"""The residual pairs of SN-GAN and Rob-GAN: the published ones at 32, 64 and 128 pixels.

In units of 64 channels; ^ doubles the side, v halves it:

    SN-GAN    generator                           discriminator
    32        4 -> 4^ 4^ 4^                       2v 2v 2 2
    64        16 -> 8^ 4^ 2^ 1^                   1v 2v 4v 8v 16v
    128       16 -> 16^ 8^ 4^ 2^ 1^               1v 2v 4v 8v 16v 16

    Rob-GAN   generator                           discriminator
    32        16 -> 8^ 4^ 2^ 1                    2v 2v 2 2
    64        16 -> 8^ 4^ 2^ 1^                   1v 2v 4v 8v 16v
    128       8 -> 8^ 4^ 4^ 2^ 1^                 1v 2v 4v 4v 8v 8
    ImageNet  16 -> 16^ 8^ 4^ 2^ 1^               1v 2v 4v 8v 16v 16

The last row, of 128 pixels too, is `multiples: [16, 16, 8, 4, 2, 1]` for G and `[1, 2, 4, 8, 16, 16]` for D. SN-GAN's
row of 128 pixels is that of 1,000 classes; for the 143 of dogs and cats its widths are those of Rob-GAN. Sides that
halve once or twice to 7 or less (8, 16, 28) are not published: here SN-GAN's G has fewer blocks, Rob-GAN's ends as at
64 pixels, and D is that of 32.

SN-GAN's D has no normalisation of features; that of its weights is the Lipschitz control `spectral_norm`, and its
class-conditional form the head `projection`. Rob-GAN's D has batch normalisation at 32 pixels and on ImageNet, none in
between. Its G's running statistics: the published code passes Chainer's decay, 0.9, to PyTorch as a momentum, so they
are nearly those of the last batch; `momentum: 0.9` reproduces that (the code never uses them: its G stays in training
mode). The last normalisation of the published G keeps PyTorch's momentum and eps; here all layers are alike.

Source: Miyato, Kataoka, Koyama, Yoshida 2018, appendix B.4; Miyato, Koyama 2018; Rob-GAN, section 4.1 and figure 4;
widths as in the published code of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from sparring.core.pieces import piece
from sparring.networks.residual_blocks import BlockLayers, bare, normalised
from sparring.networks.sn_resnet import BlockWidths, ResidualDiscriminator, ResidualGenerator

_UP_TO_64 = dict.fromkeys((1, 2, 3), BlockWidths((2, 2, 2, 2), 2)) | {4: BlockWidths((1, 2, 4, 8, 16), 5)}
"""The blocks of both discriminators up to 64 pixels."""


@piece("sngan_resnet")
class SNGANGenerator(ResidualGenerator):
    """SN-GAN's residual generator, for square images with a side of 8, 16, 28, 32, ..., 128."""

    published: ClassVar[Mapping[int, tuple[int, ...]]] = {
        1: (4, 4),
        2: (4, 4, 4),
        3: (4, 4, 4, 4),
        4: (16, 8, 4, 2, 1),
        5: (16, 16, 8, 4, 2, 1),
    }


@piece("sngan_resnet")
class SNGANDiscriminator(ResidualDiscriminator):
    """SN-GAN's residual discriminator, for square images with a side of 8, 16, 28, 32, ..., 128."""

    published: ClassVar[Mapping[int, BlockWidths]] = _UP_TO_64 | {5: BlockWidths((1, 2, 4, 8, 16, 16), 5)}

    head_bias: bool = False

    def layers(self) -> BlockLayers:
        return bare(bias=True)


@piece("robgan_resnet")
class RobGANGenerator(ResidualGenerator):
    """Rob-GAN's residual generator, for square images with a side of 8, 16, 28, 32, ..., 128."""

    published: ClassVar[Mapping[int, tuple[int, ...]]] = {
        1: (2, 1),
        2: (4, 2, 1),
        3: (16, 8, 4, 2, 1),
        4: (16, 8, 4, 2, 1),
        5: (8, 8, 4, 4, 2, 1),
    }


@piece("robgan_resnet")
class RobGANDiscriminator(ResidualDiscriminator):
    """Rob-GAN's residual discriminator, for square images with a side of 8, 16, 28, 32, ..., 128.

    Args:
        batch_norm: on in the published code at 32 pixels and on ImageNet.
    """

    published: ClassVar[Mapping[int, BlockWidths]] = _UP_TO_64 | {5: BlockWidths((1, 2, 4, 4, 8, 8), 5)}

    batch_norm: bool = True

    def layers(self) -> BlockLayers:
        return normalised(bias=False) if self.batch_norm else bare(bias=False)
