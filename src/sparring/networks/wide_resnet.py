"""WideResNet: the pre-activation residual networks of robust training, for square images of any side.

3 x 3 convolution of 16 channels; three stages of (depth - 4) / 6 blocks with 16, 32 and 64 times `width` channels, of
which the second and third halve the side; BN, activation, mean over the image, dense layer. No dropout. With 10 classes
WRN-28-10 has 36.5 million weights, WRN-34-10 46.2.

Source: Zagoruyko, Komodakis 2016, table 1; SiLU instead of ReLU: Gowal et al. 2020, section 4.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import nn

from sparring.core.pieces import piece
from sparring.core.randomness import Rng
from sparring.core.records import Count
from sparring.core.shapes import Space
from sparring.networks.base import require_square_images
from sparring.networks.classifiers import Classifier, ClassifierModule
from sparring.networks.deep_classifiers import pooled_classifier, preact_layers

_FIRST = 16
_ACTIVATIONS: dict[str, type[nn.ReLU] | type[nn.SiLU]] = {"relu": nn.ReLU, "silu": nn.SiLU}


@piece("wide_resnet")
class WideResNet(Classifier):
    """The wide residual classifier WRN-depth-width with batch normalisation; square images of any side.

    Args:
        depth: layers with weights on the longest path, 6 n + 4.
        width: factor of the channels 16, 32, 64.
        activation: after every normalisation.
    """

    depth: Annotated[int, Field(ge=10, le=1000)] = 28
    width: Count = 10
    activation: Literal["relu", "silu"] = "relu"

    @model_validator(mode="after")
    def _has_whole_blocks(self) -> WideResNet:
        if self.depth % 6 != 4:
            raise ValueError(f"depth = {self.depth} is not 6 n + 4: 10, 16, 22, 28, 34, 40, ...")
        return self

    def build(self, space: Space, lead: tuple[int, ...], *, rng: Rng) -> ClassifierModule:
        channels, _side = require_square_images(self, space, lead)

        def active(inputs: int) -> nn.Module:
            return nn.Sequential(nn.BatchNorm2d(inputs), _ACTIVATIONS[self.activation](inplace=True))

        base = _FIRST * self.width

        def layers() -> Iterator[nn.Module]:
            stages = [(base, 1), (2 * base, 2), (4 * base, 2)]
            yield from preact_layers(channels, _FIRST, stages, (self.depth - 4) // 6, active)
            yield active(4 * base)

        return pooled_classifier(layers(), 4 * base, space, rng=rng)
