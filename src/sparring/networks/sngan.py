"""The residual pair of SN-GAN: the published one at 32, 64 and 128 pixels, and the same rule at other sides.

In units of 64 channels; ^ doubles the side, v halves it:

    side      generator                           discriminator
    32        4 -> 4^ 4^ 4^                       2v 2v 2 2
    64        16 -> 8^ 4^ 2^ 1^                   1v 2v 4v 8v 16v
    128       16 -> 16^ 8^ 4^ 2^ 1^               1v 2v 4v 8v 16v 16

Sides that halve once or twice to 7 or less (8, 16, 28) are not published: here G has fewer blocks, D is that of 32
pixels. D has no normalisation of features; that of its weights is the Lipschitz control `spectral_norm`, and its
class-conditional form the head `projection`.

Source: Miyato, Kataoka, Koyama, Yoshida 2018, appendix B.4; Miyato, Koyama 2018; as in their published code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from sparring.core.pieces import piece
from sparring.networks.residual_blocks import BlockLayers, bare
from sparring.networks.sn_resnet import BlockWidths, ResidualDiscriminator, ResidualGenerator


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

    published: ClassVar[Mapping[int, BlockWidths]] = {
        1: BlockWidths((2, 2, 2, 2), 2),
        2: BlockWidths((2, 2, 2, 2), 2),
        3: BlockWidths((2, 2, 2, 2), 2),
        4: BlockWidths((1, 2, 4, 8, 16), 5),
        5: BlockWidths((1, 2, 4, 8, 16, 16), 5),
    }

    head_bias: bool = False

    def layers(self) -> BlockLayers:
        return bare(bias=True)
