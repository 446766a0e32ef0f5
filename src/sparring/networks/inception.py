"""Inception-v3 as the Fréchet inception distance uses it: the TensorFlow network of 2015-12-05, ported to PyTorch.

It departs from the published architecture where that network does: mean pooling does not count the padding, the last
block pools by the maximum, and there are 1,008 logits. Names of modules are those of the port's weights. Images are
prepared as the port does, resized with half-pixel centres and scaled by 2x - 1; the TensorFlow graph does both a little
differently. A distance is thus that of pytorch-fid.

Source: Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2015, section 6; Heusel et al. 2017;
the port and its weights: https://github.com/mseitzer/pytorch-fid.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.core.shapes import FeaturesAndLogits
from sparring.networks.base import FeatureNetwork

SIDE = 299
FEATURES = 2048
CLASSES = 1008

Pool = Callable[[Tensor], Tensor]


def mean_pool(x: Tensor) -> Tensor:
    """Means over 3 x 3; at the border over fewer, as the padding does not count."""
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def max_pool(x: Tensor) -> Tensor:
    """Maxima over 3 x 3."""
    return F.max_pool2d(x, 3, stride=1, padding=1)


def _halve(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=2)


class Conv(nn.Module):
    """Convolution, BN, ReLU; with stride 1 and `same` the size of the image stays."""

    def __init__(
        self, inputs: int, outputs: int, kernel: tuple[int, int] = (1, 1), *, stride: int = 1, same: bool = True
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if same else (0, 0)
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


def _halving(inputs: int, outputs: int) -> Conv:
    return Conv(inputs, outputs, (3, 3), stride=2, same=False)


class MixedA(nn.Module):
    """Branches of 1 x 1, 5 x 5, twice 3 x 3, and pooling."""

    def __init__(self, inputs: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(inputs, 64)
        self.branch5x5_1, self.branch5x5_2 = Conv(inputs, 48), Conv(48, 64, (5, 5))
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(inputs, 64), Conv(64, 96, (3, 3))
        self.branch3x3dbl_3 = Conv(96, 96, (3, 3))
        self.branch_pool = Conv(inputs, pooled)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        pooled = self.branch_pool(mean_pool(x))
        return torch.cat([self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, pooled], 1)


class MixedB(nn.Module):
    """Halves the side: branches of 3 x 3, twice 3 x 3, and pooling."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3 = _halving(inputs, 384)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(inputs, 64), Conv(64, 96, (3, 3))
        self.branch3x3dbl_3 = _halving(96, 96)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, _halve(x)], 1)


class MixedC(nn.Module):
    """Branches of 1 x 1, 7 x 7 and twice 7 x 7 in rows and columns, and pooling."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        row, column = (1, 7), (7, 1)
        self.branch1x1 = Conv(inputs, 192)
        self.branch7x7_1, self.branch7x7_2 = Conv(inputs, width), Conv(width, width, row)
        self.branch7x7_3 = Conv(width, 192, column)
        self.branch7x7dbl_1, self.branch7x7dbl_2 = Conv(inputs, width), Conv(width, width, column)
        self.branch7x7dbl_3, self.branch7x7dbl_4 = Conv(width, width, row), Conv(width, width, column)
        self.branch7x7dbl_5 = Conv(width, 192, row)
        self.branch_pool = Conv(inputs, 192)

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(mean_pool(x))], 1)


class MixedD(nn.Module):
    """Halves the side: branches of 3 x 3, 7 x 7 and 3 x 3, and pooling."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = Conv(inputs, 192), _halving(192, 320)
        self.branch7x7x3_1, self.branch7x7x3_2 = Conv(inputs, 192), Conv(192, 192, (1, 7))
        self.branch7x7x3_3, self.branch7x7x3_4 = Conv(192, 192, (7, 1)), _halving(192, 192)

    def forward(self, x: Tensor) -> Tensor:
        long = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), long, _halve(x)], 1)


class MixedE(nn.Module):
    """Branches of 1 x 1, 3 x 3 and twice 3 x 3 as rows beside columns, and pooling of the given kind."""

    def __init__(self, inputs: int, pool: Pool) -> None:
        super().__init__()
        row, column = (1, 3), (3, 1)
        self.branch1x1 = Conv(inputs, 320)
        self.branch3x3_1 = Conv(inputs, 384)
        self.branch3x3_2a, self.branch3x3_2b = Conv(384, 384, row), Conv(384, 384, column)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(inputs, 448), Conv(448, 384, (3, 3))
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = Conv(384, 384, row), Conv(384, 384, column)
        self.branch_pool = Conv(inputs, 192)
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        split = [self.branch3x3_2a(single), self.branch3x3_2b(single)]
        split += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        return torch.cat([self.branch1x1(x), *split, self.branch_pool(self.pool(x))], 1)


class InceptionV3(FeatureNetwork):
    """Images of any side, grey or colour, to the 2,048 pooled features and 1,008 logits.

    Images are resized bilinearly to 299 x 299. Logits leave out the bias, as the published inception score does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _halving(3, 32)
        self.Conv2d_2a_3x3 = Conv(32, 32, (3, 3), same=False)
        self.Conv2d_2b_3x3 = Conv(32, 64, (3, 3))
        self.Conv2d_3b_1x1 = Conv(64, 80)
        self.Conv2d_4a_3x3 = Conv(80, 192, (3, 3), same=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = MixedA(192, 32), MixedA(256, 64), MixedA(288, 64)
        self.Mixed_6a = MixedB(288)
        self.Mixed_6b, self.Mixed_6c = MixedC(768, 128), MixedC(768, 160)
        self.Mixed_6d, self.Mixed_6e = MixedC(768, 160), MixedC(768, 192)
        self.Mixed_7a = MixedD(768)
        self.Mixed_7b, self.Mixed_7c = MixedE(1280, mean_pool), MixedE(FEATURES, max_pool)
        self.fc = nn.Linear(FEATURES, CLASSES)

    def extract(self, images: Tensor) -> FeaturesAndLogits:
        x = F.interpolate(images.expand(-1, 3, -1, -1), size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        x = _halve(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))))
        x = _halve(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        features = x.mean(dim=(2, 3))
        return FeaturesAndLogits(features, F.linear(features, self.fc.weight))
